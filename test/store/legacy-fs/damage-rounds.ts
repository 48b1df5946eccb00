/** What the process that is killed while it finds damage and the test that kills it agree on. */
import { memorySource } from '../../helpers/bao.ts'
import { randomData } from '../../helpers/data.ts'

/** The group that is wrong. */
export const ROUND_GROUP = 5

export function blobOfRound(life: number, round: number) {
  const data = randomData(30 * 16_384 + 100, 1 + life * 1000 + round)
  return { data, size: data.length, hash: memorySource(data).hash }
}
