/** Calls `sarf send` in this process. */
import { CommanderError } from 'commander'
import { sendCommand } from '../../src/cli/send.ts'

/** @returns the exit code and what was printed */
export async function send(...given: string[]): Promise<{ code: number; output: string; error: string }> {
  let output = ''
  let error = ''
  const command = sendCommand()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        output += text
      },
      writeErr: (text) => {
        error += text
      },
    })
  try {
    await command.parseAsync(given, { from: 'user' })
    return { code: Number(process.exitCode), output, error }
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown
    return { code: thrown.exitCode === 1 ? 2 : thrown.exitCode, output, error }
  } finally {
    process.exitCode = 0
  }
}
