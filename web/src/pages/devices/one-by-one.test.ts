import { expect, test, vi } from 'vitest'
import { ApiError } from '~/api/problem'
import { oneByOne } from './one-by-one'

const never = () => false
const refusal = (status: number, detail: string) => new ApiError({ status, detail })

test('each is done once, in order, and progress is told', async () => {
  const act = vi.fn(async () => undefined)
  const tell = vi.fn()
  expect(await oneByOne(['a', 'b'], { act, tell, stopped: never })).toEqual([])
  expect(act.mock.calls).toEqual([['a'], ['b']])
  expect(tell.mock.calls).toEqual([[0], [1], [2]])
})

test('one that is refused holds nobody up, and is named with its cause', async () => {
  const act = vi.fn(async (id: string) => {
    if (id === 'b') throw refusal(409, 'an update of this agent is under way')
  })
  const refused = await oneByOne(['a', 'b', 'c'], { act, tell: () => undefined, stopped: never })
  expect(refused).toEqual([{ id: 'b', cause: 'an update of this agent is under way' }])
  expect(act).toHaveBeenCalledTimes(3)
})

test('who asks too fast waits and asks again, and gives up in the end', async () => {
  const wait = vi.fn(async () => undefined)
  const steps = { tell: () => undefined, stopped: never, wait }
  const act = vi.fn(async () => undefined).mockRejectedValueOnce(refusal(429, 'too many requests'))
  expect(await oneByOne(['a'], { act, ...steps })).toEqual([])
  expect(act).toHaveBeenCalledTimes(2)

  const always = async () => {
    throw refusal(429, 'too many requests')
  }
  expect(await oneByOne(['a'], { act: always, ...steps })).toEqual([
    { id: 'a', cause: 'too many requests' },
  ])
})

test('what was not begun when it was stopped is among the failures', async () => {
  let stop = false
  const act = vi.fn(async () => {
    stop = true
  })
  const refused = await oneByOne(['a', 'b'], { act, tell: () => undefined, stopped: () => stop })
  expect(act).toHaveBeenCalledTimes(1)
  expect(refused.map(({ id }) => id)).toEqual(['b'])
})
