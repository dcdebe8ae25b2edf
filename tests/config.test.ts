import { describe, expect, it } from 'vitest'
import { ConfigError, loadConfig } from '../src/config.ts'

const production = {
  NODE_ENV: 'production',
  SARF_LOOKUP_KEY: 'a key that only this test has, 32 characters',
  DATABASE_URL: 'postgres://127.0.0.1',
  REDIS_URL: 'redis://:secret@127.0.0.1',
}

describe('in production', () => {
  it.each(['redis://127.0.0.1', 'redis://somebody@127.0.0.1', 'redis://:@127.0.0.1', 'rediss://redis.example:6380/0'])(
    'a Redis without a password is refused: %s',
    (url) => {
      expect(() => loadConfig({ ...production, REDIS_URL: url })).toThrow(ConfigError)
      expect(() => loadConfig({ ...production, REDIS_URL: url })).toThrow('REDIS_URL must have a password in production')
    },
  )

  it('a Redis with a password is taken, with a user or without', () => {
    for (const url of ['redis://:secret@127.0.0.1', 'rediss://somebody:secret@redis.example'])
      expect(loadConfig({ ...production, REDIS_URL: url }).redisUrl).toBe(url)
  })

  it('the look-up key of development is not used', () => {
    expect(() => loadConfig({ ...production, SARF_LOOKUP_KEY: undefined })).toThrow('SARF_LOOKUP_KEY must be set')
  })
})

it('in development a Redis without a password will do', () => {
  expect(loadConfig({ DATABASE_URL: 'postgres://127.0.0.1', REDIS_URL: 'redis://127.0.0.1' }).redisUrl).toBe('redis://127.0.0.1')
})
