import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

// Browser tests: each file starts its own server and browser; one after another on small machines.
export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  resolve: { alias: { '~': fileURLToPath(new URL('../src', import.meta.url)) } },
  test: {
    environment: 'node',
    include: ['e2e/**/*.e2e.ts'],
    testTimeout: 240_000,
    hookTimeout: 300_000,
    fileParallelism: false,
    retry: 0,
  },
})
