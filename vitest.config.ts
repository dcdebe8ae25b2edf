import { defineConfig } from 'vitest/config'

// eslint-disable-next-line no-restricted-exports -- vitest takes its configuration from a default export
export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    // A process a file: tests kill, drain and change their environment.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
  },
})
