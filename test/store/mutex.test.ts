import { describe, expect, it } from 'vitest'
import { KeyedMutex } from '../../src/store/mutex.ts'

/** Something that runs until it is told to end. */
function held() {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { action: () => promise, end: resolve }
}

describe('KeyedMutex', () => {
  it('runs one at a time per key, in order, and others meanwhile', async () => {
    const mutex = new KeyedMutex()
    const first = held()
    const log: string[] = []
    const running = [
      mutex.run('a', first.action).then(() => log.push('a1')),
      mutex.run('a', async () => log.push('a2')),
      mutex.run('b', async () => log.push('b'))
    ]
    await running[2]
    expect(log).toEqual(['b'])
    first.end()
    await Promise.all(running)
    expect(log).toEqual(['b', 'a1', 'a2'])
  })

  it('goes on after a failure, which is told', async () => {
    const mutex = new KeyedMutex()
    const failing = mutex.run('a', () => Promise.reject(new Error('no')))
    const after = mutex.run('a', async () => 7)
    await expect(failing).rejects.toThrow('no')
    expect(await after).toBe(7)
  })

  it('lets go of who will not wait any longer, and keeps the order of the others', async () => {
    const mutex = new KeyedMutex()
    const first = held()
    const stop = new AbortController()
    const log: string[] = []
    const running = mutex.run('a', first.action)
    const impatient = mutex.run('a', async () => log.push('impatient'), stop.signal)
    const patient = mutex.run('a', async () => log.push('patient'))
    const reason = new Error('enough')
    stop.abort(reason)
    await expect(impatient).rejects.toBe(reason)
    // Comes after somebody has left the line, while the first is still running.
    const last = mutex.run('a', async () => log.push('last'))
    await new Promise(resolve => setTimeout(resolve, 20))
    expect(log).toEqual([])
    first.end()
    await Promise.all([running, patient, last])
    expect(log).toEqual(['patient', 'last'])
  })
})
