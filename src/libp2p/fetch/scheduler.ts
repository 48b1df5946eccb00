/**
 * Shares out what a fetch lacks among its providers.
 *
 * Whenever something has happened, each provider that has room is given as much of the pool as it sends in about a second;
 * when the pool is empty, one that has nothing to do takes the tail of the one that would end last. What a provider does not
 * bring goes back to the pool. A single provider is asked for all at once.
 */
import type { Logger, PeerId } from '@libp2p/interface'
import type { TruncatedEncodingError } from '../../bao/errors.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'
import { NotAvailableError } from '../../protocol/errors.ts'
import { SizeMismatchError } from '../../store/errors.ts'
import { MAX_WATCHED_BLOBS, PIECE_BYTES, PROVIDER_PAUSE_MS, STEAL_INTERVAL_MS } from '../constants.ts'
import { deadline } from '../deadline.ts'
import type { Getter } from '../getter.ts'
import type { BlobsLimits } from '../limits.ts'
import type { Misbehaviour } from '../misbehaviour.ts'
import { idOf, nameOf, type ProviderAddress } from '../provider-address.ts'
import { observeAt, proveSize } from './ask-about.ts'
import { AllProvidersFailedError, isLack, isLie, isPassing, SizeDisputedError } from './errors.ts'
import { FetchProvider } from './fetch-provider.ts'
import type { Item } from './item.ts'
import type { Landing } from './landing.ts'
import { pieceAround } from './pieces.ts'
import type { Pool } from './pool.ts'
import { runTask } from './run-task.ts'
import { bytesToAsk, fastestFirst, isTooSlow, whatToSteal } from './share-out.ts'
import { type Share, type Tail, Task } from './task.ts'

export interface SchedulerInit {
  /** What is fetched. */
  readonly hash: Hash
  readonly getter: Getter
  readonly limits: BlobsLimits
  readonly log: Logger
  readonly misbehaviour: Misbehaviour
  readonly onMisbehaved: (peer: PeerId, hash: Hash, error: Error) => void
  readonly onProgress: () => void
}

/** Something to be fetched as a whole: the blob, or all its children. */
interface Phase {
  readonly pool: Pool
  readonly landing: Landing
  /** Bytes counted for a blob do not count any more. */
  readonly onLost: (bytes: number) => void
  /** Not to wait for what providers may hold later. */
  readonly isOptional: boolean
  readonly running: Set<Promise<void>>
  /** Ends what is asked beside data, once there has been anything. */
  ending: AbortController | undefined
  readonly ended: PromiseWithResolvers<void>
  isOver: boolean
  /** When something last came, or became known to be held somewhere. */
  changedAt: number
}

export interface PhaseInit {
  readonly pool: Pool
  readonly landing: Landing
  readonly onLost?: ((bytes: number) => void) | undefined
  readonly isOptional?: boolean | undefined
}

export class Scheduler {
  readonly #init: SchedulerInit
  readonly #providers: FetchProvider[] = []
  readonly #pauses = new Set<NodeJS.Timeout | number>()
  #phase: Phase | undefined
  #isWoken = false
  /** Whether time has passed, which is all that it takes to be able to steal. */
  #isTick = false

  constructor(init: SchedulerInit) {
    this.#init = init
  }

  /** Adds providers that are not there yet. */
  add(addresses: readonly ProviderAddress[]): void {
    for (const address of addresses) {
      const id = idOf(address)
      if (this.#providers.some(provider => provider.isAlso(address, id))) continue
      const provider = new FetchProvider(address)
      provider.isMistrusted = id !== undefined && this.#init.misbehaviour.isMistrusted(id)
      this.#providers.push(provider)
    }
    this.wake()
  }

  /** Providers that something is being received from. */
  get activeCount(): number {
    let count = 0
    for (const { tasks } of this.#providers) if (tasks.size > 0) count++
    return count
  }

  /** Whether there is, and was, only one provider: it is asked for all at once, and its error is the fetch's. */
  get isAlone(): boolean {
    return this.#providers.length === 1
  }

  /**
   * Resolves when the pool is closed and all of it has come. Nothing is under way any more then, nor when it throws.
   *
   * @throws the provider's error when there is one only, else AllProvidersFailedError; what `fail` was given
   */
  async run({ pool, landing, onLost = () => undefined, isOptional = false }: PhaseInit): Promise<void> {
    const phase: Phase = {
      pool,
      landing,
      onLost,
      isOptional,
      running: new Set(),
      ending: undefined,
      ended: Promise.withResolvers(),
      isOver: false,
      changedAt: performance.now()
    }
    this.#phase = phase
    let hasCome = false
    for (const provider of this.#providers) provider.lookAnew()
    const tick = (): void => {
      this.#isTick = true
      this.wake()
      endTicking = deadline(STEAL_INTERVAL_MS, tick)
    }
    let endTicking = deadline(STEAL_INTERVAL_MS, tick)
    this.wake()
    try {
      await phase.ended.promise
      hasCome = true
    } finally {
      endTicking()
      this.#phase = undefined
      // What has come in full ends by itself.
      for (const { tasks } of this.#providers)
        for (const task of tasks) if (!hasCome || task.current !== undefined) task.stop()
      phase.ending?.abort(new Error('the fetch has ended'))
      await Promise.all(phase.running)
      this.#endPauses()
    }
  }

  /** Ends what is running. */
  fail(error: unknown): void {
    if (this.#phase !== undefined) this.#end(this.#phase, error)
  }

  /** Takes back what the provider was not to be asked for, had it been known how much that is. */
  shorten(task: Task): void {
    const phase = this.#phase
    const { provider } = task
    if (phase === undefined || this.#othersAreOut(provider)) return
    const bytes = bytesToAsk(provider, phase.pool.left, this.#othersAsked(provider))
    this.#takeBack(phase, task, task.tailAfter(bytes))
  }

  /** To be called when something may have become possible. */
  readonly wake = (): void => {
    if (this.#isWoken) return
    this.#isWoken = true
    queueMicrotask(() => {
      this.#isWoken = false
      if (this.#phase !== undefined && !this.#phase.isOver) this.#schedule(this.#phase)
      this.#isTick = false
    })
  }

  #end(phase: Phase, error?: unknown): void {
    if (phase.isOver) return
    phase.isOver = true
    if (error === undefined) phase.ended.resolve()
    else phase.ended.reject(error)
  }

  #endPauses(): void {
    for (const pause of this.#pauses) clearTimeout(pause)
    this.#pauses.clear()
    for (const provider of this.#providers) if (provider.state === 'resting') provider.state = 'new'
  }

  #schedule(phase: Phase): void {
    if (phase.pool.isFinished) {
      this.#end(phase)
      return
    }
    // Whoever is alone, and busy, is woken by each of thousands of blobs that has come.
    const [only] = this.#providers
    if (this.isAlone && only!.tasks.size > 0 && !(only!.hasRoom && this.#mayHaveWork(phase, only!))) return
    let asked = this.#providers.filter(isAsked).length
    // Who is not trusted is asked when nobody else is.
    const byRate = fastestFirst(this.#providers)
    const trusted = byRate.filter(({ isMistrusted }) => !isMistrusted)
    const mistrusted = byRate.filter(({ isMistrusted }) => isMistrusted)
    for (const provider of [...trusted, ...mistrusted]) {
      if (!isAsked(provider) && asked >= this.#init.limits.maxProvidersPerFetch) continue
      if (provider.isMistrusted && trusted.some(isAsked)) break
      const was = isAsked(provider)
      if (provider.state === 'new') this.#connect(phase, provider)
      else if (provider.state === 'ready') this.#supply(phase, provider)
      if (!was && isAsked(provider)) asked++
    }
    if (asked === 0 && phase.pool.undoneCount > 0) this.#unstick(phase)
  }

  #connect(phase: Phase, provider: FetchProvider): void {
    if (this.isAlone) {
      // It says what is wrong when it is asked.
      provider.state = 'ready'
      this.#supply(phase, provider)
      return
    }
    provider.state = 'connecting'
    this.#track(phase, async () => {
      try {
        provider.peer = await this.#init.getter.connect(provider.address, whenEnding(phase))
        provider.isMistrusted = this.#init.misbehaviour.isMistrusted(provider.peer.toString())
        provider.state = 'ready'
      } catch (error) {
        provider.state = 'new'
        if (!phase.isOver) this.#failed(provider, error)
      }
    })
  }

  #supply(phase: Phase, provider: FetchProvider): void {
    const { pool } = phase
    while (provider.hasRoom && this.#mayHaveWork(phase, provider)) {
      const others = this.#othersAsked(provider)
      if (isTooSlow(provider, pool.left, others)) return
      const bytes = this.#othersAreOut(provider)
        ? Number.POSITIVE_INFINITY
        : bytesToAsk(provider, pool.left, others)
      let shares = pool.take(provider, bytes)
      if (shares.length === 0 && provider.tasks.size === 0 && this.#steal(phase, provider))
        shares = pool.take(provider, bytes)
      if (shares.length === 0) {
        provider.seenVersion = pool.version
        return
      }
      this.#start(phase, provider, shares)
    }
  }

  /** Whether it is worth to look, as it would not be at each progress of each provider. */
  #mayHaveWork(phase: Phase, provider: FetchProvider): boolean {
    if (provider.seenVersion !== phase.pool.version) return true
    // By the time that has passed there may be something to steal; and nobody gives up without having looked.
    return provider.tasks.size === 0 && (this.#isTick || !this.#providers.some(isAsked))
  }

  #othersAsked(provider: FetchProvider): FetchProvider[] {
    return this.#providers.filter(other => other !== provider && isAsked(other))
  }

  #othersAreOut(provider: FetchProvider): boolean {
    return this.#providers.every(other => other === provider || other.state === 'out')
  }

  /** @returns whether there is something in the pool now */
  #steal(phase: Phase, thief: FetchProvider): boolean {
    const theft = whatToSteal(thief, this.#providers)
    if (theft === undefined) return false
    const { task, tail } = theft
    if (tail === undefined) {
      if (!task.hasBegun) task.provider.silences++
      // What it has not brought comes back when it has ended, in a moment.
      task.stop()
      return false
    }
    this.#takeBack(phase, task, tail)
    return true
  }

  #takeBack(phase: Phase, task: Task, tail: readonly Tail[]): void {
    if (tail.length === 0) return
    task.giveUp(tail)
    for (const { part, ranges } of tail) phase.pool.giveBack(part.item, ranges)
    this.wake()
  }

  #start(phase: Phase, provider: FetchProvider, shares: readonly Share[]): void {
    const task = new Task(provider, shares, provider.isAskedByHash)
    provider.begin(task)
    const { hash, getter, limits, onProgress } = this.#init
    const { maxBlobBytes, idleTimeoutMs, stallTimeoutMs } = limits
    this.#track(phase, async () => {
      let failure: { readonly error: unknown } | undefined
      try {
        await runTask(getter, task, {
          root: hash,
          landing: phase.landing,
          maxBlobBytes,
          idleTimeoutMs: this.#othersAreOut(provider)
            ? idleTimeoutMs
            : Math.min(idleTimeoutMs, stallTimeoutMs),
          onProgress: () => {
            phase.changedAt = performance.now()
            onProgress()
            this.wake()
          }
        })
      } catch (error) {
        failure = { error }
      }
      provider.end(task)
      if (!phase.isOver) {
        if (failure === undefined) provider.succeeded()
        else if (!task.signal.aborted) this.#taskFailed(phase, task, failure.error)
      }
      for (const part of task.parts) {
        part.letGo()
        phase.pool.giveBack(part.item, part.rest)
        phase.pool.settle(part.item)
      }
    })
  }

  /** Lets something go on in the phase, which does not end before it. */
  #track(phase: Phase, action: () => Promise<void>): void {
    const running = action()
      .catch(error => this.#end(phase, error))
      .finally(() => {
        phase.running.delete(running)
        this.wake()
      })
    phase.running.add(running)
  }

  #taskFailed(phase: Phase, task: Task, error: unknown): void {
    const { provider } = task
    this.#init.log('%s failed: %e', nameOf(provider.address), error)
    if (isLie(error)) this.#misbehaved(provider, task.current?.item.hash ?? this.#init.hash, error)
    else if (this.isAlone) this.#drop(provider, error)
    else if (isLack(error)) this.#lacks(phase, task, error)
    else if (error instanceof SizeDisputedError) this.#settleSize(phase, provider, error)
    else this.#failed(provider, error)
  }

  /** For this fetch. */
  #drop(provider: FetchProvider, error: unknown): void {
    provider.state = 'out'
    provider.error = error
    for (const task of provider.tasks) task.stop()
  }

  #misbehaved(provider: FetchProvider, hash: Hash, error: Error): void {
    if (isLie(provider.error)) return
    this.#drop(provider, error)
    if (provider.peer === undefined) return
    this.#init.misbehaviour.note(provider.peer.toString())
    this.#init.onMisbehaved(provider.peer, hash, error)
  }

  /** Lets it rest if that may help, else drops it. */
  #failed(provider: FetchProvider, error: unknown): void {
    if (provider.state === 'out' || provider.state === 'resting') return
    const pauses = isPassing(error) && !this.isAlone ? provider.failed(error) : undefined
    if (pauses === undefined) {
      this.#drop(provider, error)
      return
    }
    provider.state = 'resting'
    for (const task of provider.tasks) task.stop()
    const pause = setTimeout(() => {
      this.#pauses.delete(pause)
      provider.state = 'new'
      this.wake()
    }, PROVIDER_PAUSE_MS * pauses)
    this.#pauses.add(pause)
  }

  /** A provider does not hold what it was asked for: it is asked what it does hold. */
  #lacks(phase: Phase, task: Task, error: NotAvailableError | TruncatedEncodingError): void {
    const { provider } = task
    provider.error = error
    const part = task.current
    if (part === undefined) return
    const { item } = part
    const isAbsent = error instanceof NotAvailableError
    if (isAbsent && item.index > 0 && error.hash.equals(this.#init.hash)) {
      // A status does not tell whether the child is missing or the hash sequence.
      provider.isAskedByHash = true
      return
    }
    const holding = item.holdingOf(provider)
    const hadSome = part !== task.parts[0] || !part.got.isEmpty
    // What is missing may be a parent above the first chunk that was asked for. And a provider that has nothing of what was
    // asked for may have another part of the blob.
    const first = Number(part.rest.boundaries[0])
    const missing = pieceAround(isAbsent ? first : Math.max(first, error.chunk))
    holding.lacks = holding.lacks.union(missing)
    if (holding.held !== undefined && !holding.held.intersect(missing).isEmpty) {
      holding.misses = part.got.isEmpty ? holding.misses + 1 : 0
      holding.held = undefined
    }
    provider.missed(item.index, hadSome)
    // Of a thousand small children it would take longer to ask what is held than to try.
    const isWorthAsking = !isAbsent || item.isLarge || (item.size ?? 0) > PIECE_BYTES
    if (isWorthAsking) this.#watch(phase, provider, item)
  }

  /** @returns whether the provider is being asked what it holds, as it was not before */
  #watch(phase: Phase, provider: FetchProvider, item: Item): boolean {
    const holding = item.holdingOf(provider)
    if (holding.watch !== undefined || !provider.canObserve || provider.watching >= MAX_WATCHED_BLOBS)
      return false
    const watch = new AbortController()
    holding.watch = watch
    const signal = AbortSignal.any([watch.signal, whenEnding(phase)])
    // Until it has answered it is not asked for more of this blob.
    const lacks = holding.lacks
    holding.lacks = ChunkRanges.all
    provider.watching++
    provider.questions++
    let hasAnswered = false
    const answered = (): void => {
      if (hasAnswered) return
      hasAnswered = true
      provider.questions--
      holding.lacks = lacks
      phase.pool.version++
    }
    this.#track(phase, async () => {
      try {
        await observeAt(
          this.#init.getter,
          provider.address,
          item.hash,
          ({ ranges }) => {
            answered()
            holding.held = ranges
            phase.changedAt = performance.now()
            phase.pool.version++
            this.wake()
          },
          { signal }
        )
      } catch (error) {
        if (!signal.aborted)
          this.#init.log(
            '%s does not tell what it holds of %s: %e',
            nameOf(provider.address),
            item.hash,
            error
          )
      }
      if (!hasAnswered && !signal.aborted) provider.canObserve = false
      answered()
      provider.watching--
      holding.watch = undefined
    })
    return true
  }

  /** Somebody is wrong about a blob's size: who says something else than before is asked to prove it. */
  #settleSize(phase: Phase, provider: FetchProvider, error: SizeDisputedError): void {
    const { item } = error
    item.holdingOf(provider).lacks = ChunkRanges.all
    provider.questions++
    const { getter, limits } = this.#init
    const { maxBlobBytes, stallTimeoutMs: idleTimeoutMs } = limits
    this.#track(phase, async () => {
      try {
        const signal = whenEnding(phase)
        const size = await proveSize(getter, provider.address, item.hash, {
          maxBlobBytes,
          idleTimeoutMs,
          signal
        })
        if (phase.isOver) return
        if (size === error.claimed) this.#sizeProven(phase, item, provider, size)
        else this.#misbehaved(provider, item.hash, new SizeMismatchError(item.hash, error.claimed, size))
      } catch (cause) {
        if (isLie(cause)) this.#misbehaved(provider, item.hash, cause)
        else this.#drop(provider, error)
      } finally {
        provider.questions--
      }
    })
  }

  #sizeProven(phase: Phase, item: Item, by: FetchProvider, size: number): void {
    item.holdingOf(by).lacks = ChunkRanges.empty
    item.isSizeProven = true
    // Another one has proven it meanwhile.
    if (item.size === size) return
    const lie = new SizeMismatchError(item.hash, item.size!, size)
    for (const { tasks } of this.#providers) for (const task of tasks) task.void(item)
    phase.onLost(item.received)
    phase.pool.restart(item, size)
    if (item.claimant !== undefined) this.#misbehaved(item.claimant, item.hash, lie)
  }

  /** Nobody is being asked for anything, and yet something is missing. */
  #unstick(phase: Phase): void {
    if (this.#providers.some(({ questions }) => questions > 0)) return
    const left = this.#providers.filter(({ state }) => state !== 'out')
    if (!this.isAlone && !phase.isOptional && this.#maySoonGoOn(phase, left)) return
    const failures = this.#providers.map(({ address, error }) => ({ provider: address, error }))
    this.#end(
      phase,
      this.isAlone ? failures[0]!.error : new AllProvidersFailedError(this.#init.hash, failures)
    )
  }

  #maySoonGoOn(phase: Phase, left: readonly FetchProvider[]): boolean {
    // Who has been of use is given its further attempts.
    if (left.some(({ state, received }) => state === 'resting' && received > 0)) return true
    const ready = left.filter(({ state }) => state === 'ready')
    let isAsking = false
    for (const item of phase.pool.undone) {
      if (!ready.some(({ canObserve, watching }) => canObserve && watching < MAX_WATCHED_BLOBS)) break
      for (const provider of ready) if (this.#watch(phase, provider, item)) isAsking = true
    }
    if (isAsking) return true
    // Who holds a part may be receiving the rest.
    const mayGrow = ready.some(provider => {
      if (provider.watching === 0) return false
      return (
        provider.received > 0 ||
        Array.from(phase.pool.undone).some(item => item.knownHolding(provider)?.held?.isEmpty === false)
      )
    })
    return mayGrow && performance.now() - phase.changedAt < this.#init.limits.stallTimeoutMs
  }
}

/** A signal that aborts when the phase ends. */
function whenEnding(phase: Phase): AbortSignal {
  phase.ending ??= new AbortController()
  return phase.ending.signal
}

/** Whether it takes one of the places among those who are asked at the same time. */
function isAsked({ state, tasks }: FetchProvider): boolean {
  return state === 'connecting' || tasks.size > 0
}
