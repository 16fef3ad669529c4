import { expect, test } from 'vitest'
import { lagFigures } from './read-health'

test('figures of queues are found among the others', () => {
  const text = [
    '# TYPE gururmm_writer_queue_length gauge',
    'gururmm_writer_queue_length 12',
    'gururmm_agents_online 3',
    'gururmm_write_lag_seconds{quantile="0.5"} 0.0031',
  ].join('\n')
  expect(lagFigures(text)).toEqual([
    { name: 'writer queue length', value: '12' },
    { name: 'write lag seconds', value: '0.003' },
  ])
})
