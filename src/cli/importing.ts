/** Adding a file or folder while showing how far it is; for `add` and `send`. */
import { type Imported, importPath } from '../node/import-path.ts'
import type { BlobStore, Lease } from '../store/index.ts'
import type { Context } from './context.ts'
import { formatBytes, plural } from './format.ts'
import { LOCAL_MIN_BYTES, ProgressView } from './progress.ts'

export async function importShown(
  { output, signal }: Context,
  store: BlobStore,
  path: string,
  { isCollection, lease }: { readonly isCollection: boolean; readonly lease: Lease }
): Promise<Imported> {
  const view = new ProgressView(output, 'adding', { minBytes: LOCAL_MIN_BYTES })
  try {
    const imported = await importPath(store, path, {
      isCollection,
      lease,
      signal,
      onSkip: (skipped, kind) => output.note(`skipped ${skipped}: it is ${kind}`),
      onProgress: progress => view.update(progress)
    })
    view.end()
    output.detail(`added ${path}: ${plural(imported.files, 'file')}, ${formatBytes(imported.size)}`)
    return imported
  } finally {
    view.end()
  }
}
