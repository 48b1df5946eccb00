/**
 * Writes to a database in a process of its own, until it is killed or done. Arguments: path, number of the first blob, how
 * many. Each blob comes with a tag and is counted, in one transaction; what has been written is said.
 */
import { DatabaseBusyError, Metadata } from '../../../../src/store/object/metadata/index.ts'
import { hashOf } from './hashes.ts'

const [path, ...numbers] = process.argv.slice(2)
const [first, count] = numbers.map(Number) as [number, number]

/** Again and again while others hold the database: they take turns by chance, and on a slow disk a turn takes long. */
function patiently<T>(action: () => T): T {
  for (;;) {
    try {
      return action()
    } catch (error) {
      if (!(error instanceof DatabaseBusyError)) throw error
    }
  }
}

using metadata = patiently(() => Metadata.open(path!))
for (let i = first; i < first + count; i++) {
  patiently(() =>
    metadata.transaction(() => {
      metadata.keepFragment(hashOf(i), { size: i, add: `fragment of ${i}`, drop: [] })
      metadata.setFact('count', String(Number(metadata.fact('count') ?? 0) + 1))
      metadata.setTag({ name: `tag ${i}`, hash: hashOf(i), format: 'raw' })
    })
  )
  process.stdout.write(`${i}\n`)
}
