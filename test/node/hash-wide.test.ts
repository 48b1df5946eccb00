import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  createJsKernel,
  createWasmKernel,
  kernel,
  useModule,
  wideModuleBytes
} from '../../src/bao/kernel/index.ts'
import { isRight } from '../../src/bao/kernel/self-check.ts'

const SRC = new URL('../../src/', import.meta.url).href

let dir: string

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'hash-wide-'))
})

afterAll(() => {
  rmSync(dir, { recursive: true })
})

/** What a program says, in a process of its own. */
function run(program: string, ...options: string[]): { stdout: string; stderr: string } {
  // Threads cannot be started by a program that is no file.
  const path = join(dir, 'program.mjs')
  writeFileSync(path, program)
  const { stdout, stderr } = spawnSync(process.execPath, [...options, path], {
    encoding: 'utf8',
    timeout: 60_000,
    maxBuffer: 2 ** 27
  })
  return { stdout, stderr }
}

/** A program that tells the hash of some bytes, by the process-wide kernel, after `before`. */
function hashing(before: string): string {
  return `
  import { hashWide } from '${SRC}node/hash-wide.ts'
  import { createWasmKernel, kernel } from '${SRC}bao/kernel/index.ts'
  ${before}
  const cv = new Uint8Array(32)
  kernel.subtree(new Uint8Array(300_000).map((_, i) => i * 7), 0, true, cv)
  console.log(Buffer.from(cv).toString('hex'))`
}

const IS_TRIED = process.versions.v8.startsWith('13.6.')

/** Where no processor is described, one is not known to have them. */
function hasWideVectors(): boolean {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8').includes(' avx2 ')
  } catch {
    return false
  }
}

describe('hashWide', () => {
  // Elsewhere V8 makes no wide vectors, or hashWide does not ask it to.
  it.skipIf(!IS_TRIED || !hasWideVectors())('has V8 make wide vectors of all that hashes', () => {
    const { stdout } = run(hashing('hashWide()'), '--trace-wasm-revectorize')
    expect(stdout).toMatch(/PackNode.*I32x4Add/)
    expect(stdout).not.toContain('failed')
  })

  it.skipIf(!IS_TRIED)('has V8 make them of nothing else', () => {
    const other = `
    hashWide()
    console.log('from here on')
    const narrow = createWasmKernel()
    for (let i = 0; i < 50; i++) narrow.subtree(new Uint8Array(2 ** 20), 0, true, new Uint8Array(32))`
    const { stdout } = run(hashing(other), '--trace-wasm-revectorize')
    expect(stdout.slice(stdout.indexOf('from here on'))).toMatch(/^from here on\n[0-9a-f]{64}\n$/)
  })

  it.skipIf(!IS_TRIED)('hashes the same as before', () => {
    const [narrow, wide] = [run(hashing('')), run(hashing('if (!hashWide()) throw new Error("not wide")'))]
    expect(wide).toEqual(narrow)
    expect(wide).toEqual({ stdout: expect.stringMatching(/^[0-9a-f]{64}\n$/), stderr: '' })
  })

  it.skipIf(!IS_TRIED)('has threads that add a file hash the same as before', () => {
    const file = join(dir, 'file')
    writeFileSync(
      file,
      Uint8Array.from({ length: 2 ** 21 }, (_, i) => i * 7)
    )
    const adding = (before: string) => `
    import { openSync } from 'node:fs'
    import { hashWide } from '${SRC}node/hash-wide.ts'
    import { HashThread } from '${SRC}store/hash-pool/hash-thread.ts'
    ${before}
    const thread = new HashThread(error => console.error(error.message))
    const { values } = await thread.run({ source: openSync('${file}'), offset: 0, length: 2 ** 21, isRoot: false })
    console.log(Buffer.from(values).toString('hex'))
    process.exit()`
    const [narrow, wide] = [run(adding('')), run(adding('hashWide()'))]
    expect(wide).toEqual(narrow)
    expect(wide).toEqual({ stdout: expect.stringMatching(/^[0-9a-f]{128}\n$/), stderr: '' })
  })

  it.runIf(process.versions.v8.startsWith('13.'))('may be called while other threads begin to hash', () => {
    const other = join(dir, 'other.mjs')
    // Each time another module, which the engine has not compiled yet.
    writeFileSync(
      other,
      `
    import { parentPort } from 'node:worker_threads'
    import { createWasmKernel, wideModuleBytes } from '${SRC}bao/kernel/index.ts'
    for (;;) {
      const section = [0, 10, 1, 97, ...Array.from({ length: 8 }, () => Math.random() * 256)]
      const module = new WebAssembly.Module(Uint8Array.from([...wideModuleBytes(), ...section]))
      createWasmKernel(module).subtree(new Uint8Array(300_000), 0, true, new Uint8Array(32))
      parentPort.postMessage('hashed')
    }`
    )
    const { stdout, stderr } = run(`
    import { setTimeout } from 'node:timers/promises'
    import { Worker } from 'node:worker_threads'
    import { hashWide } from '${SRC}node/hash-wide.ts'
    const start = () => new Promise(resolve => new Worker('${other}').on('message', resolve))
    await Promise.all([start(), start()])
    for (let i = 0; i < 80; i++) {
      if (!hashWide()) console.log('not wide')
      await setTimeout(1)
    }
    console.log('end')
    process.exit()`)
    expect({ stdout, stderr }).toEqual({ stdout: 'end\n', stderr: '' })
  })

  it('does nothing where there is no memory for it', () => {
    const before = `
    import { setFlagsFromString } from 'node:v8'
    setFlagsFromString('--wasm-max-mem-pages=10')
    console.log(hashWide())`
    const { stdout, stderr } = run(hashing(before))
    expect(stdout).toMatch(/^false\n[0-9a-f]{64}\n$/)
    expect(stderr).toBe('')
  })

  it('does nothing in a version of V8 with which it has not been tried', () => {
    const other = "Object.defineProperty(process.versions, 'v8', { value: '99.1.2' });"
    const { stdout, stderr } = run(hashing(`${other}console.log(hashWide())`), '--trace-wasm-revectorize')
    expect(stdout).toMatch(/^false\n[0-9a-f]{64}\n$/)
    expect(stderr).toBe('')
  })
})

describe('a kernel that an engine has compiled', () => {
  it('is taken if it hashes as the one in JavaScript does', () => {
    expect(isRight(createJsKernel())).toBe(true)
    expect(isRight(createWasmKernel())).toBe(true)
  })

  it('is not taken if it hashes wrongly', () => {
    const before = kernel
    const bytes = wideModuleBytes()
    // A word of BLAKE3's initial value, in all lanes of a vector.
    const word = Buffer.from('67e6096a'.repeat(4), 'hex')
    const places = Array.from(bytes, (_, i) => i).filter(
      i => Buffer.compare(bytes.subarray(i, i + 16), word) === 0
    )
    expect(places).not.toEqual([])
    for (const place of places) bytes[place]! ^= 1
    expect(useModule(new WebAssembly.Module(bytes))).toBe(false)
    expect(kernel).toBe(before)
  })
})
