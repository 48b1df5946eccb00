import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Vitest leaves one core free, which makes one worker of two cores. Many tests wait for timers and other processes anyway.
    maxWorkers: Math.max(2, availableParallelism() - 1)
  }
})
