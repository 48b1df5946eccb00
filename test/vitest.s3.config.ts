/** Acceptance on a real S3 server, which BLOBS_TEST_S3_URL names: whole nodes and commands, large blobs, killed processes. */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/s3/**/*.s3.ts'],
    testTimeout: 300_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 60_000 } },
    fileParallelism: false
  }
})
