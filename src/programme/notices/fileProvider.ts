/** Development's SMS: a line of JSON a message in a file, with the number, or nothing but a line in the log, without. */
import { appendFile } from 'node:fs/promises'
import { errorText, type Logger } from '../../log.ts'
import type { NoticeProvider } from './provider.ts'

const OWNER_ONLY = 0o600

export function fileProvider(file: string, deliversAtOnce: boolean): NoticeProvider {
  return {
    deliversAtOnce,
    async send({ id, to, language, text, template }) {
      const line = JSON.stringify({ id, at: new Date().toISOString(), to: to.reveal(), language, template, text })
      try {
        await appendFile(file, line + '\n', { mode: OWNER_ONLY })
        return { kind: 'accepted', reference: id }
      } catch (error) {
        return { kind: 'failed', reason: (error as NodeJS.ErrnoException).code ?? errorText(error) }
      }
    },
  }
}

export function logProvider(log: Logger, deliversAtOnce: boolean): NoticeProvider {
  return {
    deliversAtOnce,
    send({ id, template }) {
      log.info({ key: id, reason: template }, 'a notice would be sent')
      return Promise.resolve({ kind: 'accepted', reference: id })
    },
  }
}
