import { ConfigError } from '../../src/config.ts'
import { StartError } from '../../src/local/startError.ts'

/** One line for what a person can mend (a setting, a port that nobody listens on); the whole stack for what only we can. */
export function explain(error: unknown): string {
  if (error instanceof StartError || error instanceof ConfigError) return error.message
  if (!(error instanceof Error)) return String(error)
  return 'code' in error ? error.message : (error.stack ?? error.message)
}
