/** The two sockets of a connection that a proxy passes on. */
import type { Socket } from 'node:net'

/** Has whatever happens to the one happen to the other. @param open has both in it as long as they are open */
export function linkSockets(client: Socket, upstream: Socket, open: Set<Socket>): void {
  for (const [socket, other] of [
    [client, upstream],
    [upstream, client]
  ] as const) {
    open.add(socket)
    socket.on('error', () => other.destroy())
    socket.on('close', () => {
      open.delete(socket)
      other.destroy()
    })
  }
}
