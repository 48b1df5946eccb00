/** The thread that reads and writes small files, many for each message: see `small-files.ts`. */
import { parentPort, workerData } from 'node:worker_threads'
import { FileReader } from './file-reader.ts'
import { FileWriter } from './file-writer.ts'
import { type Answer, type Request, type ThreadData, toFailure } from './messages.ts'

const port = parentPort
if (port === null) throw new Error('thread.ts is started by small-files.ts')

const reader = new FileReader()
const writer = new FileWriter(workerData as ThreadData)

/** Who writes is told when there is room for more. */
async function write(records: Uint8Array): Promise<Answer> {
  const results = writer.write(records)
  // Should it fail, nothing is lost: what cannot be put on disk stays in its journal, and is tried again after the next ones.
  await writer.makeRoom().catch(() => undefined)
  return { results }
}

async function retire(journal: string, isDoubtful: boolean): Promise<Answer> {
  try {
    await writer.retire(journal, isDoubtful)
    return { results: [] }
  } catch (error) {
    return { results: [], failure: toFailure(error) }
  }
}

port.on('message', ({ id, request }: { id: number; request: Request }) => {
  const answer = (answer: Answer): void =>
    port.postMessage({ id, answer }, answer.bytes === undefined ? [] : [answer.bytes.buffer])
  switch (request.kind) {
    case 'read':
      return answer(reader.read(request.paths, request.most))
    case 'write':
      return void write(request.records).then(answer)
    case 'retire':
      return void retire(request.journal, request.isDoubtful).then(answer)
  }
})
