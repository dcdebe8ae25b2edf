import { defineConfig } from 'vitest/config'
import { softHsmMissing } from './benchmarks/support/softHsmToken.ts'

/** What concerns keys at the switch's boundary, attacks and canaries above all: once more with the keys in a PKCS#11 token. */
const ON_A_TOKEN = [
  'attacks',
  'canary',
  'cardValues',
  'chip',
  'guessing',
  'keyChange',
  'mac',
  'pin',
  'terminalBinding',
  'velocity',
]

const shared = {
  // A process a file: tests kill, drain and change their environment.
  pool: 'forks' as const,
  testTimeout: 60_000,
  hookTimeout: 120_000,
  setupFiles: ['tests/support/compileCache.ts'],
}

// Where it has to be there and is not, its tests say so.
const missing = process.env['CI'] === 'true' ? undefined : softHsmMissing()
if (missing !== undefined) process.stderr.write(`attacks and canaries are left out for keys in a token: ${missing}\n`)

// eslint-disable-next-line no-restricted-exports -- vitest takes its configuration from a default export
export default defineConfig({
  test: {
    maxWorkers: 2,
    teardownTimeout: 30_000,
    // Node.js runs the sources as they are, here as in production; no test replaces a module. A third of the time was transforming them.
    experimental: { viteModuleRunner: false, nodeLoader: false },
    projects: [
      { test: { ...shared, name: 'sarf', include: ['tests/**/*.test.ts'] } },
      {
        test: {
          ...shared,
          name: 'token',
          include: missing === undefined ? ON_A_TOKEN.map((name) => `tests/authorize/${name}.test.ts`) : [],
          env: { SARF_TEST_KEYS: 'pkcs11' },
        },
      },
    ],
  },
})
