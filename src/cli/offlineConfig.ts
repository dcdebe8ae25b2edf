import { loadConfig, type Config } from '../config.ts'

/**
 * The configuration for commands that need no server: what is said about servers may be anything then.
 *
 * @throws ConfigError
 */
export function offlineConfig(): Config {
  return loadConfig({
    ...process.env,
    NODE_ENV: 'development',
    DATABASE_URL: 'postgres://127.0.0.1',
    REDIS_URL: 'redis://127.0.0.1',
  })
}
