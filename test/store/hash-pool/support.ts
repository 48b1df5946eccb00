/** Hashing threads to test. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Crew } from '../../../src/store/hash-pool/crew.ts'
import { hashPool } from '../../../src/store/hash-pool/pool.ts'

/** Waits until the threads of this process can take jobs: what is hashed next, they hash. */
export async function startPool(): Promise<Crew> {
  return await hashPool.use(async crew => {
    if (crew === undefined) throw new Error('there are no threads')
    while (!crew.isReady) await sleep(5)
    return crew
  })
}

/** Threads that can take jobs. */
export async function startedCrew(onEnd: () => void = () => undefined): Promise<Crew> {
  const crew = new Crew(onEnd)
  while (!crew.isReady) await sleep(5)
  return crew
}
