/** Ends a stream that is done with. */
import type { Stream } from '@libp2p/interface'
import { CLOSE_GRACE_MS } from './constants.ts'

/**
 * To be called when our side has been closed and nothing more is to be read: waits a little for the peer to close its side,
 * which is what peers do, and resets the stream when it does not. A reset at once could overtake what we have sent.
 */
export async function closeStream(stream: Stream): Promise<void> {
  if (isClosed(stream)) return
  await new Promise<void>(resolve => {
    const onClose = (): void => {
      clearTimeout(timer)
      resolve()
    }
    const timer = setTimeout(() => {
      stream.removeEventListener('close', onClose)
      if (!isClosed(stream)) stream.abort(new Error('the peer left the stream open'))
      resolve()
    }, CLOSE_GRACE_MS)
    stream.addEventListener('close', onClose, { once: true })
    // What still arrives is of no interest, and the end of the peer's side is seen only by a stream that is not paused.
    stream.closeRead().catch(error => stream.abort(error))
    if (isClosed(stream)) onClose()
  })
}

function isClosed(stream: Stream): boolean {
  return stream.status !== 'open' && stream.status !== 'closing'
}
