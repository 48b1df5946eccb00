import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Remembered } from '../../src/store/remembered.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

it('looks once for all who ask meanwhile, and anew for those who want it fresh', async () => {
  let looks = 0
  const answer = new Remembered(async () => ++looks)
  expect(await Promise.all([answer.get(), answer.get(), answer.get()])).toEqual([1, 1, 1])
  expect(await answer.get()).toBe(1)
  const fresh = () => answer.get({ isFresh: true })
  // The first look begins before the others ask.
  expect(await Promise.all([fresh(), fresh(), fresh()])).toEqual([2, 3, 3])
  expect(await answer.get()).toBe(3)
})

it('does not answer who wants it fresh with a look that began before', async () => {
  const looks: PromiseWithResolvers<string>[] = []
  const answer = new Remembered(() => {
    looks.push(Promise.withResolvers())
    return looks.at(-1)!.promise
  })
  const first = answer.get()
  const fresh = answer.get({ isFresh: true })
  looks[0]!.resolve('old')
  expect(await first).toBe('old')
  await expect.poll(() => looks.length).toBe(2)
  looks[1]!.resolve('new')
  expect(await fresh).toBe('new')
})

it('remembers no failure, and lets who has no more time go', async () => {
  let isBroken = true
  const answer = new Remembered(async () => {
    if (isBroken) throw new Error('broken')
    return await new Promise(() => undefined)
  })
  await expect(answer.get()).rejects.toThrow('broken')
  isBroken = false
  const stop = new AbortController()
  const waiting = answer.get({ signal: stop.signal })
  const waitingForTheNext = answer.get({ signal: stop.signal, isFresh: true })
  stop.abort(new Error('no more time'))
  await expect(waiting).rejects.toThrow('no more time')
  await expect(waitingForTheNext).rejects.toThrow('no more time')
})
