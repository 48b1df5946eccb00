/**
 * Adds blobs, damages them and has it found, for ever: to be killed. Arguments: the folder, and which life this is. Tells after each
 * round how many are over.
 */
import { join } from 'node:path'
import { LegacyFsStore } from '../../../src/store/legacy-fs/index.ts'
import { flipByte } from '../../helpers/files.ts'
import { blobOfRound, ROUND_GROUP } from './damage-rounds.ts'

const [folder, life] = process.argv.slice(2)
const store = await LegacyFsStore.open(folder!)
console.log(0)
for (let round = 0; ; round++) {
  const { hash, data } = blobOfRound(Number(life), round)
  await store.addBytes(data)
  await flipByte(join(folder!, 'data', `${hash}.data`), ROUND_GROUP * 16_384)
  await store.reportDamage(hash)
  console.log(round + 1)
}
