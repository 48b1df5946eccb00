/** The thread that looks at files of a long list: see `page.ts`. */
import { parentPort, workerData } from 'node:worker_threads'
import { lookFromTheEnd, type SharedPage } from './page.ts'

/** Without anything to look at for so many ms, it ends: a list that nobody reads to its end may never be closed. */
const IDLE_MS = 5_000

const port = parentPort
if (port === null) throw new Error('thread.ts is started by second-look.ts')

const dataFolder = workerData as string
const idle = setTimeout(() => port.close(), IDLE_MS)
port.on('message', (page: SharedPage) => {
  lookFromTheEnd(dataFolder, page)
  idle.refresh()
})
