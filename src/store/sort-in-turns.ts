/** Sorting that lets others have their turn: 100,000 items at once take a quarter of a second. */

/** Items that are sorted, or merged, without asking whether it is time for the others. */
const AT_ONCE = 256

/** @param breathe lets others have their turn when it is time */
export async function sortInTurns<T>(
  items: readonly T[],
  compare: (a: T, b: T) => number,
  breathe: () => Promise<void>
): Promise<T[]> {
  let runs: T[][] = []
  for (let i = 0; i < items.length; i += AT_ONCE) {
    runs.push(items.slice(i, i + AT_ONCE).sort(compare))
    await breathe()
  }
  while (runs.length > 1) {
    const longer: T[][] = []
    for (let i = 0; i < runs.length; i += 2)
      longer.push(await merge(runs[i]!, runs[i + 1] ?? [], compare, breathe))
    runs = longer
  }
  return runs[0] ?? []
}

async function merge<T>(
  left: readonly T[],
  right: readonly T[],
  compare: (a: T, b: T) => number,
  breathe: () => Promise<void>
): Promise<T[]> {
  // As it is with what was sorted before, or nearly so.
  if (right.length === 0 || compare(left.at(-1)!, right[0]!) <= 0) return left.concat(right)
  const merged: T[] = []
  let l = 0
  let r = 0
  while (l < left.length && r < right.length) {
    merged.push(compare(left[l]!, right[r]!) <= 0 ? left[l++]! : right[r++]!)
    if (merged.length % AT_ONCE === 0) await breathe()
  }
  return merged.concat(left.slice(l), right.slice(r))
}
