/** Listening on a port of this machine. */
import { once } from 'node:events'
import type { AddressInfo, Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * @param port 0: one that is free. Another one was the server's before; where somebody has got it since, for a connection that he made, this
 *   waits until he lets go of it
 * @returns the port
 */
export async function listen(server: Server, port: number): Promise<number> {
  for (;;) {
    try {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
      return (server.address() as AddressInfo).port
    } catch (error) {
      if (port === 0 || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
      await sleep(50)
    }
  }
}
