/** How much a provider is to be asked for, and what one that has nothing to do may take over from another. */
import { PIECE_BYTES, REQUEST_MS, WORTH_STEALING_MS } from '../constants.ts'
import type { FetchProvider } from './fetch-provider.ts'
import type { Tail, Task } from './task.ts'

/** A request that has brought nothing after so many ms may be lost. */
const SILENT_MS = 500

/** The same where nobody knows how long responses take to begin. */
const SILENT_UNKNOWN_MS = 2_000

/** What a provider is taken for, in bytes per second, as long as nothing is known of it. */
const UNKNOWN_RATE = PIECE_BYTES

/** What a provider that was silent is taken for, in bytes per second: in a long fetch it is worth another try. */
const LEAST_RATE = PIECE_BYTES / 10

/** In the order in which they are given something: who has not shown yet how fast it is comes first. */
export function fastestFirst(providers: readonly FetchProvider[]): FetchProvider[] {
  return providers
    .map(provider => ({ provider, rate: provider.speed.rate() ?? Number.POSITIVE_INFINITY }))
    .sort((a, b) => (a.rate === b.rate ? 0 : b.rate - a.rate))
    .map(({ provider }) => provider)
}

/**
 * Bytes to ask a provider for: what it sends in the time that a request should take, but towards the end of the fetch, and
 * as long as its speed is not known, less. So all providers end at about the same time.
 *
 * @param left bytes that nobody has been asked for
 * @param others that are being asked
 */
export function bytesToAsk(provider: FetchProvider, left: number, others: readonly FetchProvider[]): number {
  const rate = provider.speed.rate()
  if (rate === undefined) return PIECE_BYTES
  const all = rate + sumOfRates(others)
  const fairHalf = all === 0 ? left : (left * rate) / all / 2
  return Math.max(PIECE_BYTES, Math.min((rate * REQUEST_MS) / 1000, fairHalf))
}

/** Whether the others will have done all that is left before this one has brought a piece. */
export function isTooSlow(provider: FetchProvider, left: number, others: readonly FetchProvider[]): boolean {
  const rate = provider.speed.rate()
  const rateOfOthers = sumOfRates(others)
  if (rate === undefined || rateOfOthers === 0) return false
  const all = others.reduce((sum, other) => sum + other.left, left)
  return (
    (provider.left + PIECE_BYTES) / Math.max(rate, LEAST_RATE) > all / rateOfOthers + WORTH_STEALING_MS / 1000
  )
}

function sumOfRates(providers: readonly FetchProvider[]): number {
  return providers.reduce((sum, { speed }) => sum + (speed.rate() ?? 0), 0)
}

/** What is to be taken from a task: some of its end, or all that has not come. */
export interface Theft {
  readonly task: Task
  /** Undefined: the task is to be ended. */
  readonly tail: readonly Tail[] | undefined
}

/**
 * Looks for something that `thief`, which has nothing to do, would bring sooner: in the task that would end last, as much as
 * makes both end at the same time.
 */
export function whatToSteal(thief: FetchProvider, providers: readonly FetchProvider[]): Theft | undefined {
  const tasks = providers.filter(provider => provider !== thief).flatMap(({ tasks }) => [...tasks])
  const timed = tasks
    .map(task => ({ task, ms: msLeft(task, thief) }))
    .filter(({ ms }) => ms > WORTH_STEALING_MS)
    .sort((a, b) => b.ms - a.ms)
  for (const { task, ms } of timed) {
    const theft = stealFrom(task, ms, thief)
    if (theft !== undefined) return theft
  }
  return undefined
}

function stealFrom(task: Task, ms: number, thief: FetchProvider): Theft | undefined {
  const thiefRate = thief.speed.rate() ?? UNKNOWN_RATE
  if (thiefRate === 0) return undefined
  if (Number.isFinite(ms)) {
    const rate = (task.provider.left / ms) * 1000
    const tail = task.tailAfter((task.left * rate) / (rate + thiefRate))
    if (isWorthStealing(task, tail, ms, thief, thiefRate)) return { task, tail }
  }
  // There is too little left to be split: it is taken whole from who is much slower, or has not even begun.
  const isMuchSlower = ms > 1000 + (2 * task.left * 1000) / thiefRate
  const isOfUse = task.parts.some(part => !part.isDone && !part.item.heldBy(thief, part.rest).isEmpty)
  return isMuchSlower && isOfUse ? { task, tail: undefined } : undefined
}

/** What the victim has sent of it already is lost: so much must be won, in bytes and in time. */
function isWorthStealing(
  { provider }: Task,
  tail: readonly Tail[],
  ms: number,
  thief: FetchProvider,
  thiefRate: number
): boolean {
  let bytes = 0
  let usable = 0
  for (const { part, ranges, bytes: some } of tail) {
    bytes += some
    if (!part.item.heldBy(thief, ranges).isEmpty) usable += some
  }
  if (usable < Math.max(PIECE_BYTES, bytes / 2)) return false
  const msOfVictim = ms * (1 - bytes / provider.left)
  const msOfThief = (thief.delayMs ?? 0) + (bytes / thiefRate) * 1000
  return Math.max(msOfVictim, msOfThief) + WORTH_STEALING_MS < ms
}

/** When the task will be done, in ms from now. */
function msLeft(task: Task, thief: FetchProvider): number {
  const { provider } = task
  if (!task.hasBegun) {
    // What waits behind another response of the same provider has its turn yet to come.
    const isFirst = [...provider.tasks][0] === task
    if (isFirst) return isSilent(task, thief) ? Number.POSITIVE_INFINITY : 0
  }
  const rate = provider.speed.rate()
  if (rate === undefined) return 0
  return rate === 0 ? Number.POSITIVE_INFINITY : (provider.left / rate) * 1000
}

/** Whether the thief would have answered long since. Each time it turns out that nothing is won, it takes twice as long. */
function isSilent({ provider, startedAt }: Task, thief: FetchProvider): boolean {
  const { delayMs } = thief
  const patience = delayMs === undefined ? SILENT_UNKNOWN_MS : Math.max(SILENT_MS, 3 * delayMs)
  return performance.now() - startedAt > patience * 2 ** provider.silences
}
