/**
 * The default store: a folder of plain files. `libp2p-blobs/store/legacy-fs`.
 *
 * Several processes may use one folder at the same time. Nothing that another process can change is remembered: the file
 * system is asked each time. What it takes to make this safe is said where it is done: `claim.ts` (what of a partial blob
 * may be believed), `complete.ts` (how a blob becomes complete), `make-partial.ts` (how one with wrong bytes becomes partial),
 * `partial-files.ts` (who makes a partial blob's files), `../temp.ts` (what killed processes leave).
 *
 * Not guaranteed:
 * - A process that is receiving a blob when another one *moves* it out of the store by `exportPath` may, for up to a second,
 *   write what it has verified into the file that has been moved: the same bytes that are there, but they overwrite what
 *   somebody changes meanwhile.
 * - Data that has been damaged on disk without changing its length is noticed when it is read, not before.
 *
 * @packageDocumentation
 */

export type { LegacyFsStoreOptions } from './options.ts'
export { LegacyFsStore } from './store.ts'
