/** The thread that reads and writes small files, many for each message: see `small-files.ts`. */
import { parentPort, workerData } from 'node:worker_threads'
import { FileReader } from './file-reader.ts'
import { FileWriter } from './file-writer.ts'
import { type Answer, type Request, type ThreadData, toFailure } from './messages.ts'

const port = parentPort
if (port === null) throw new Error('thread.ts is started by small-files.ts')

const reader = new FileReader()
const writer = new FileWriter(workerData as ThreadData)

/** Goes on with something long between messages. */
function inTurns(steps: Generator<void, void, undefined>, onEnd: (failure?: unknown) => void): void {
  try {
    if (steps.next().done) onEnd()
    else setImmediate(inTurns, steps, onEnd)
  } catch (error) {
    onEnd(error)
  }
}

port.on('message', ({ id, request }: { id: number; request: Request }) => {
  const answer = (answer: Answer): void =>
    port.postMessage({ id, answer }, answer.bytes === undefined ? [] : [answer.bytes.buffer])
  switch (request.kind) {
    case 'read':
      return answer(reader.read(request.paths, request.most))
    case 'write':
      return answer({ results: writer.write(request.records) })
    case 'retire':
      return inTurns(writer.retire(request.journal, request.isDoubtful), error =>
        answer({ results: [], ...(error !== undefined && { failure: toFailure(error) }) })
      )
  }
})
