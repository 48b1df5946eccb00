/**
 * Writes to a database in a process of its own, until it is killed or done. Arguments: path, number of the first blob, how
 * many. Each blob comes with a tag and is counted, in one transaction; what has been written is said.
 */
import { Metadata } from '../../../../src/store/object/metadata/index.ts'
import { hashOf } from './hashes.ts'

const [path, ...numbers] = process.argv.slice(2)
const [first, count] = numbers.map(Number) as [number, number]

using metadata = Metadata.open(path!)
for (let i = first; i < first + count; i++) {
  metadata.transaction(() => {
    metadata.keepFragment(hashOf(i), { size: i, add: `fragment of ${i}`, drop: [] })
    metadata.setFact('count', String(Number(metadata.fact('count') ?? 0) + 1))
    metadata.setTag({ name: `tag ${i}`, hash: hashOf(i), format: 'raw' })
  })
  process.stdout.write(`${i}\n`)
}
