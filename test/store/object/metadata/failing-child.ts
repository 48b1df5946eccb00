/** Opens a database as somebody who may not do much, and says how that went. Argument: path. */
import { Metadata } from '../../../../src/store/object/metadata/index.ts'

try {
  using metadata = Metadata.open(process.argv[2]!)
  metadata.setFact('a', '1')
  console.log('it works')
} catch (error) {
  const { name, message } = error as Error
  console.log(`${name}: ${message}`)
}
