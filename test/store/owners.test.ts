/** Which open stores are taken for dead. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { expect, it, onTestFinished } from 'vitest'
import { endOwner, fateOf, isOwner, mayBeOpen, newOwner } from '../../src/store/owners.ts'
import { startOf } from '../../src/store/processes.ts'

const MODULE = new URL('../../src/store/owners.ts', import.meta.url).href

const isLinux = process.platform === 'linux'

it('one of this thread is open until it ends', () => {
  const name = newOwner()
  expect(fateOf(name)).toBe('open')
  endOwner(name)
  expect(fateOf(name)).toBe('ended')
  expect(mayBeOpen(name)).toBe(false)
})

it('one of another process is open until that is killed', async () => {
  const script = `console.log((await import('${MODULE}')).newOwner()); setInterval(() => 0, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script])
  onTestFinished(() => void child.kill('SIGKILL'))
  const name = String((await once(child.stdout, 'data'))[0]).trim()
  expect(isOwner(name)).toBe(true)
  expect(fateOf(name)).toBe(isLinux ? 'open' : 'unknown')
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
  expect(fateOf(name)).toBe('ended')
})

it('one of another thread of this process may be open', async () => {
  const script = `import('${MODULE}').then(({ newOwner }) => {
    require('node:worker_threads').parentPort.postMessage(newOwner())
    setInterval(() => 0, 1000)
  })`
  const worker = new Worker(script, { eval: true })
  onTestFinished(() => void worker.terminate())
  const [name] = await once(worker, 'message')
  expect(fateOf(name)).toBe('unknown')
})

it.runIf(isLinux)('one whose number another process has got has ended', () => {
  const start = startOf(process.ppid)!
  const name = (started: string) => newOwner().replace(/-\d+\.\d+\.\d+-/, `-${process.ppid}.${started}.0-`)
  expect(fateOf(name(start))).toBe('open')
  expect(fateOf(name(String(Number(start) - 1)))).toBe('ended')
  // That of a process that could not be told, as on other systems.
  expect(fateOf(name('0'))).toBe('unknown')
  expect(fateOf(newOwner().replace(/\.\d+\./, '.1.'))).toBe('ended')
})

it('of one on another machine, or in another container, nothing is known', () => {
  expect(fateOf(newOwner().replace(/^[0-9a-f]{8}/, '00000000'))).toBe('unknown')
})

it.each(['', 'owner', '0123abcd-12-0123456789abcdef'])('%j is none', name => {
  expect(isOwner(name)).toBe(false)
  expect(fateOf(name)).toBe('ended')
})
