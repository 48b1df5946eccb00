/** The thread of `checkpointer.ts`. Its data is the path of the database. */
import { parentPort, workerData } from 'node:worker_threads'
import Database from 'better-sqlite3'

parentPort?.on('message', (message: 'checkpoint' | 'end') => {
  if (message === 'end') {
    parentPort?.close()
    return
  }
  // Open for no longer than needed, so that whoever closes the database last tidies up behind it.
  const connection = new Database(workerData, { fileMustExist: true })
  try {
    // Waits for nobody, and nobody waits for it: what it cannot bring over now, the next one does.
    connection.pragma('wal_checkpoint(PASSIVE)')
  } finally {
    connection.close()
  }
  parentPort?.postMessage('done')
})
