/** One half of a contestant in a process of its own. Also the program that this process runs. */
import type { ChildProcess } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { endChild, endWithParent, messageFrom, startChild } from './child.ts'
import type { Half, Part } from './contestants/contestant.ts'
import { contestantOf } from './contestants/index.ts'
import { Meter, type Spent } from './meter.ts'

export interface Added {
  /** One for all of it, or with the part `one` one for each file. */
  readonly keys: readonly string[]
  readonly spent: Spent
}

export interface Fetched {
  /** Bytes of a blob, or files of a folder, that are there. */
  readonly count: number
  /** What each of the keys took, in ms. */
  readonly ms: readonly number[]
  readonly spent: Spent
}

type Call =
  | { readonly do: 'add'; readonly part: Part; readonly path: string }
  | { readonly do: 'provide'; readonly key: string }
  | { readonly do: 'connect'; readonly address: string }
  | { readonly do: 'get'; readonly part: Part; readonly keys: readonly string[] }
  | { readonly do: 'measure'; readonly looksAtThread: boolean }
  | { readonly do: 'measured' | 'close' }

type Answer = { readonly result: unknown } | { readonly error: string }

/** Fetches before the first that is counted, where many small ones are timed. */
const WARM_UP = 20

export interface HalfProcessOptions {
  /** Folder for a CPU profile. */
  readonly profile?: string | undefined
  /** Longest time for one call, in ms. */
  readonly timeoutMs: number
}

/** The half, as the process that compares sees it. */
export class HalfProcess {
  readonly #child: ChildProcess
  readonly #timeoutMs: number

  constructor(contestant: string, dir: string, { profile, timeoutMs }: HalfProcessOptions) {
    const execArgv = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]
    this.#child = startChild(import.meta.filename, [contestant, dir], execArgv)
    this.#timeoutMs = timeoutMs
  }

  async add(part: Part, path: string): Promise<Added> {
    return await this.#call({ do: 'add', part, path })
  }

  async provide(key: string): Promise<string> {
    return await this.#call({ do: 'provide', key })
  }

  async connect(address: string): Promise<void> {
    await this.#call({ do: 'connect', address })
  }

  async get(part: Part, keys: readonly string[]): Promise<Fetched> {
    return await this.#call({ do: 'get', part, keys })
  }

  /**
   * Begins to measure what the process spends, until `measured`.
   *
   * @param looksAtThread whether also for how long its thread runs at a time
   */
  async measure(looksAtThread = false): Promise<void> {
    await this.#call({ do: 'measure', looksAtThread })
  }

  async measured(): Promise<Spent> {
    return await this.#call({ do: 'measured' })
  }

  async close(): Promise<void> {
    await this.#call({ do: 'close' })
  }

  async end(): Promise<void> {
    await endChild(this.#child)
  }

  async #call<T>(call: Call): Promise<T> {
    let isLate = false
    const late = setTimeout(() => {
      isLate = true
      this.#child.kill('SIGKILL')
    }, this.#timeoutMs)
    try {
      const answer = messageFrom<Answer>(this.#child)
      this.#child.send(call)
      const told = await answer
      if ('error' in told) throw new Error(told.error)
      return told.result as T
    } catch (error) {
      throw isLate ? new Error(`${call.do} took more than ${this.#timeoutMs / 1000} s`) : error
    } finally {
      clearTimeout(late)
    }
  }
}

class HalfProgram {
  readonly #half: Half
  #meter: Meter | undefined

  constructor(half: Half) {
    this.#half = half
  }

  async run(call: Call): Promise<unknown> {
    switch (call.do) {
      case 'add':
        return await this.#add(call.part, call.path)
      case 'provide':
        return await this.#half.provide(call.key)
      case 'connect':
        return await this.#half.connect(call.address)
      case 'get':
        return await this.#get(call.part, call.keys)
      case 'measure':
        this.#meter = new Meter(call.looksAtThread)
        return
      case 'measured':
        return this.#meter?.stop()
      case 'close':
        return await this.#half.close()
    }
  }

  async #add(part: Part, path: string): Promise<Added> {
    const half = this.#half
    const paths = part === 'one' ? (await readdir(path)).map(name => join(path, name)) : []
    const meter = new Meter()
    const keys =
      part === 'one'
        ? await half.addEach?.(paths)
        : [await (part === 'blob' ? half.add(path) : half.addFolder?.(path))]
    const spent = meter.stop()
    if (keys === undefined || !keys.every(key => key !== undefined))
      throw new Error(`it has nothing for ${part}`)
    return { keys, spent }
  }

  async #get(part: Part, keys: readonly string[]): Promise<Fetched> {
    const [warmUp, counted] = part === 'one' ? [keys.slice(0, WARM_UP), keys.slice(WARM_UP)] : [[], keys]
    const get = async (key: string) =>
      await (part === 'folder' ? this.#half.getFolder?.(key) : this.#half.get(key))
    for (const key of warmUp) await get(key)
    const ms: number[] = []
    const meter = new Meter()
    for (const key of counted) {
      const start = performance.now()
      await get(key)
      ms.push(performance.now() - start)
    }
    const spent = meter.stop()
    return { count: await this.#half.count(part, keys.at(-1)!), ms, spent }
  }
}

function answer(told: Answer): void {
  process.send?.(told)
}

if (import.meta.main) {
  endWithParent()
  const [name, dir] = process.argv.slice(2)
  const opening = contestantOf(name!).open(dir!)
  const program = opening.then(half => new HalfProgram(half))
  process.on('message', (call: Call) => {
    program
      .then(ready => ready.run(call))
      .then(
        result => answer({ result }),
        (error: unknown) => answer({ error: error instanceof Error ? error.message : String(error) })
      )
  })
}
