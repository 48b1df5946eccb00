/** Guessing which known word was meant. */

/** Most letters that may be added, left out or changed, as a share of the word's length. */
const MAX_DIFFERENCE = 0.5

/** The known word that takes the fewest changes to get to, upper and lower case being the same; undefined when none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let fewest = Math.ceil(word.length * MAX_DIFFERENCE) + 1
  for (const candidate of known) {
    // As many letters as one is longer than the other have to change at least.
    if (Math.abs(candidate.length - word.length) >= fewest) continue
    const changes = countChanges(word.toLowerCase(), candidate.toLowerCase())
    if (changes < fewest) {
      fewest = changes
      best = candidate
    }
  }
  return best
}

/** Levenshtein's distance, a row of the table at a time. */
function countChanges(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, i) => i)
  for (let i = 1; i <= from.length; i++) {
    const row = [i]
    for (let j = 1; j <= to.length; j++) {
      const isSame = from[i - 1] === to[j - 1]
      row.push(Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + (isSame ? 0 : 1)))
    }
    previous = row
  }
  return previous[to.length]!
}
