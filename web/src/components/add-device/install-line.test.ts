import { expect, test } from 'vitest'
import { agentUrl, installLine } from './install-line'

test('an agent dials the server that the dashboard comes from', () => {
  expect(agentUrl('https://rmm.example.com')).toBe('wss://rmm.example.com/ws')
  expect(agentUrl('http://127.0.0.1:3001')).toBe('ws://127.0.0.1:3001/ws')
})

test('the line holds address and token', () => {
  for (const system of ['linux', 'windows'] as const) {
    const line = installLine(system, 'https://rmm.example.com', 'grmt_abc')
    expect(line).toContain('wss://rmm.example.com/ws')
    expect(line).toContain('grmt_abc')
    expect(line).not.toContain('\n')
  }
})
