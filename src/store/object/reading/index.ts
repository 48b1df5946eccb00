/**
 * Reading complete blobs out of object storage. A store has one {@link ReadBudget} and one {@link OutboardCache}, and an
 * {@link ObjectReader} for each blob that is open.
 */

export { LocalReader } from './local-reader.ts'
export { OutboardCache } from './outboard-cache.ts'
export { ReadAhead } from './read-ahead.ts'
export { ReadBudget } from './read-budget.ts'
export { ObjectReader, type ObjectReaderOptions } from './reader.ts'
export { dataSpans, Spans } from './spans.ts'
