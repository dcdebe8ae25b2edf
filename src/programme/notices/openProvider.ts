/** The provider that the configuration names. */
import type { Clock } from '../../clock.ts'
import type { Config } from '../../config.ts'
import type { Logger } from '../../log.ts'
import { fileProvider, logProvider } from './fileProvider.ts'
import { httpProvider } from './httpProvider.ts'
import type { NoticeProvider } from './provider.ts'

/** @returns undefined where there is none: notices wait for a process that has one */
export function openNoticeProvider(
  { notices, noticeDelivery }: Pick<Config, 'notices' | 'noticeDelivery'>,
  clock: Clock,
  log: Logger,
): NoticeProvider | undefined {
  const { deadlineMs, deliversAtOnce } = notices
  const { provider, secret = '' } = noticeDelivery
  switch (provider.kind) {
    case 'http':
      return httpProvider({ url: provider.url, secret, deadlineMs, clock })
    case 'file':
      return fileProvider(provider.file, deliversAtOnce)
    case 'log':
      return logProvider(log, deliversAtOnce)
    case 'none':
      log.warn({}, 'notices are not sent by this process: SARF_NOTICE_URL is not set')
      return undefined
  }
}
