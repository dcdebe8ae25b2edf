/** Run in each test process: it is ended by a signal, so what it compiled has to be put by for the next one before that. */
import { flushCompileCache } from 'node:module'
import { afterAll } from 'vitest'

afterAll(() => {
  flushCompileCache()
})
