import { MemoryStorage } from '../../../../src/store/object/storage/memory/index.ts'
import { testStorage } from './suite.ts'

testStorage({
  name: 'MemoryStorage',
  setup: async () => new MemoryStorage(),
  teardown: async storage => await storage.close(),
  // Closing keeps the objects: who shares it with a store that is closed and opened again finds them.
  reopen: async storage => storage
})
