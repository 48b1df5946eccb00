/** Loops that let others have their turn: what takes a microsecond for each of a million items is a second. */

/** Items that are dealt with without asking whether it is time for the others. */
const AT_ONCE = 64

/** @param breathe lets others have their turn when it is time */
export async function eachInTurns<T>(
  items: Iterable<T>,
  action: (item: T) => void,
  breathe: () => Promise<void>
): Promise<void> {
  let left = AT_ONCE
  for (const item of items) {
    action(item)
    if (--left > 0) continue
    await breathe()
    left = AT_ONCE
  }
}
