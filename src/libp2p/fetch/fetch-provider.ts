/** One provider in one fetch: whether it can be asked, what it is being asked for, and how fast it is. */
import type { PeerId } from '@libp2p/interface'
import { LONGEST_LEAD_MS, PROVIDER_ATTEMPTS } from '../constants.ts'
import { idOf, nameOf, type ProviderAddress } from '../provider-address.ts'
import { Speed } from './speed.ts'
import type { Task } from './task.ts'

/**
 * - `new`: to be connected to.
 * - `connecting`
 * - `ready`: can be asked.
 * - `resting`: has failed, and is connected to again in a while.
 * - `out`: is not asked any more.
 */
export type ProviderState = 'new' | 'connecting' | 'ready' | 'resting' | 'out'

/** Requests to one provider at the same time: one that is being answered, and the one that follows it. */
const MAX_TASKS = 2

/** Blobs to ask for after one was not there, and most of what that becomes again. */
const FEW_ITEMS = 16

export class FetchProvider {
  state: ProviderState = 'new'
  /** Who it is, once that is known. */
  peer: PeerId | undefined
  /** Whether it has sent wrong bytes often: then it is asked when nobody else can be. */
  isMistrusted = false
  /** Why it last failed. */
  error: unknown
  /** Whether children are asked for by their hashes, because it may not have the hash sequence. */
  isAskedByHash = false
  /** Whether it has told, or may yet tell, what it holds. */
  canObserve = true
  /** Things that it is asked beside data, and has not answered. */
  questions = 0
  /** Blobs whose state it is to tell. */
  watching = 0
  /** Bytes that have come from it and are proven. */
  received = 0
  /** Where to look first for something to ask it for. */
  firstIndex = 0
  /** Blobs that it may be asked for at a time. */
  mostItems = Number.POSITIVE_INFINITY
  /** The pool's version when nothing was found in it. */
  seenVersion = -1
  /** How often it was given up on before it had said anything. */
  silences = 0
  readonly speed = new Speed()
  readonly tasks = new Set<Task>()
  /** Failures since something last went well. */
  #failures = 0
  /** Blobs, one after the other, that were not there. */
  #misses = 0
  #delayMs: number | undefined

  #address: ProviderAddress

  constructor(address: ProviderAddress) {
    this.#address = address
  }

  get address(): ProviderAddress {
    return this.#address
  }

  /**
   * Whether this is the provider that is meant too. Addresses that were not known are from now on.
   *
   * @param id of the peer at the address, as far as that tells
   */
  isAlso(address: ProviderAddress, id: string | undefined): boolean {
    const mine = this.#address
    if (nameOf(mine) === nameOf(address)) return true
    if (id === undefined || idOf(mine) !== id || !Array.isArray(mine) || !Array.isArray(address)) return false
    const known = new Set(mine.map(String))
    this.#address = [...mine, ...address.filter(addr => !known.has(addr.toString()))]
    return true
  }

  /** How long its last response took to begin, in ms. */
  get delayMs(): number | undefined {
    return this.#delayMs
  }

  /** Bytes that it has still to send. */
  get left(): number {
    let left = 0
    for (const task of this.tasks) left += task.left
    return left
  }

  /** Whether it can be asked for something now. */
  get hasRoom(): boolean {
    if (this.tasks.size === 0) return true
    if (this.tasks.size >= MAX_TASKS) return false
    const leadMs = Math.min(LONGEST_LEAD_MS, 50 + 2 * (this.#delayMs ?? 0))
    return this.left <= ((this.speed.rate() ?? 0) * leadMs) / 1000
  }

  /** There are other blobs to be fetched than before. */
  lookAnew(): void {
    this.seenVersion = -1
    this.firstIndex = 0
  }

  begin(task: Task): void {
    this.tasks.add(task)
    this.speed.run(true)
  }

  end(task: Task): void {
    this.tasks.delete(task)
    this.seenVersion = -1
    if (this.tasks.size === 0) this.speed.run(false)
  }

  /** Bytes have arrived. */
  arrived(task: Task, bytes: number): void {
    if (!task.hasBegun) {
      task.hasBegun = true
      this.silences = 0
      this.#delayMs = performance.now() - task.startedAt
    }
    this.speed.add(bytes)
  }

  succeeded(): void {
    this.#failures = 0
    this.#misses = 0
    this.mostItems *= 2
  }

  /** A blob was not there. Where one is missing the next may be too: it is looked for further on each time. */
  missed(index: number, hadSome: boolean): void {
    this.#misses = hadSome ? 1 : Math.min(this.#misses + 1, 30)
    this.mostItems = FEW_ITEMS
    this.firstIndex = index + 2 ** (this.#misses - 1)
  }

  /** @returns after how many pauses it may be tried again; undefined when it may not */
  failed(error: unknown): number | undefined {
    this.error = error
    return ++this.#failures < PROVIDER_ATTEMPTS ? this.#failures : undefined
  }
}
