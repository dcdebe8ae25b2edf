import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../src/config.ts'
import { messagesOf, noticeText, noticeTextsOf, templateReport, type NoticeTexts } from '../src/noticeTemplates.ts'

const file = JSON.parse(readFileSync(new URL('../config/notices.json', import.meta.url), 'utf8')) as NoticeTexts
const changed = (name: string, both: object): unknown => ({
  ...file,
  templates: { ...file.templates, [name]: { ...file.templates[name], ...both } },
})

describe('the texts of notices', () => {
  it('are as long as spec/notices.md says', () => {
    const spec = readFileSync(new URL('../spec/notices.md', import.meta.url), 'utf8')
    const report = templateReport(file)
    for (const { name } of report) {
      const [ar, en] = report.filter((one) => one.name === name)
      const row = `| ${name} | ${String(ar?.characters)} | ${String(ar?.messages)} | ${String(en?.characters)} | ${String(en?.messages)} |`
      expect(spec).toContain(row)
    }
  })

  it.each([
    ['a placeholder that nothing fills', changed('destroyed', { en: '{card} {name}' }), '/templates/destroyed/en: {name}'],
    ['one that is forgotten in a language', changed('destroyed', { ar: 'تم' }), '/templates/destroyed/ar: {card} is missing'],
    ['a notice that there is not', changed('birthday', { ar: 'x', en: 'x' }), '/templates: there is no notice birthday'],
    ['one without Arabic', changed('destroyed', { ar: '' }), '/templates'],
    ['one that is too long', changed('destroyed', { en: `{card} ${'x'.repeat(900)}` }), 'takes 6 messages'],
  ])('are refused with %s', (_, value, problem) => {
    expect(noticeTextsOf(value)).toContain(problem)
  })

  it('are refused where one is missing', () => {
    const { destroyed, ...templates } = file.templates
    expect(destroyed).toBeDefined()
    expect(noticeTextsOf({ ...file, templates })).toBe('/templates: destroyed is missing')
  })

  it('say days as people write them, words and names in the language, and put in nothing twice', () => {
    const parameters = { service: '@bread', from: '2027-04-30' }
    expect(noticeText(file, 'service-active', 'en', parameters)).toBe(
      'Bread is available on the services card in your governorate from 30/04/2027.',
    )
    expect(noticeText(file, 'service-active', 'ar', parameters)).toContain('الخبز المدعم')
    expect(noticeText(file, 'service-active', 'en', { service: '{from} $&', from: '@school-meals' })).toBe(
      '{from} $& is available on the services card in your governorate from school-meals.',
    )
  })

  it('are counted as the network counts them', () => {
    expect([messagesOf('a'.repeat(160)), messagesOf('a'.repeat(161)), messagesOf('a'.repeat(307))]).toEqual([1, 2, 3])
    expect([messagesOf('€'.repeat(80)), messagesOf('€'.repeat(81))]).toEqual([1, 2])
    expect([messagesOf('م'.repeat(70)), messagesOf('م'.repeat(71)), messagesOf('م'.repeat(135))]).toEqual([1, 2, 3])
  })
})

describe('the provider in the configuration', () => {
  const environment = { DATABASE_URL: 'postgres://127.0.0.1:1/nowhere', REDIS_URL: 'redis://:p@127.0.0.1:1' }
  const secret = 'a secret of 32 characters or more'
  const production = {
    ...environment,
    NODE_ENV: 'production',
    SARF_LOOKUP_KEY: secret,
    SARF_HSM: 'pkcs11',
    SARF_PKCS11_MODULE: 'm',
    SARF_PKCS11_TOKEN: 't',
    SARF_PKCS11_PIN: 'p',
  }
  const SARF_NOTICE_URL = 'https://sms.example/messages'

  it('is the log, or the file that is named, in development; nobody in production, until there is an address', () => {
    expect(loadConfig(environment).noticeDelivery.provider).toEqual({ kind: 'log' })
    expect(loadConfig({ ...environment, SARF_NOTICE_FILE: '/tmp/n' }).noticeDelivery.provider).toEqual({
      kind: 'file',
      file: '/tmp/n',
    })
    expect(loadConfig(production).noticeDelivery).toMatchObject({ provider: { kind: 'none' }, secret: undefined })
    expect(loadConfig({ ...production, SARF_NOTICE_URL, SARF_NOTICE_SECRET: secret }).noticeDelivery.provider).toEqual({
      kind: 'http',
      url: SARF_NOTICE_URL,
    })
  })

  it.each([
    ['an address without a secret', { ...production, SARF_NOTICE_URL }, 'SARF_NOTICE_SECRET'],
    ['a short secret', { ...production, SARF_NOTICE_URL, SARF_NOTICE_SECRET: 'x' }, 'SARF_NOTICE_SECRET'],
    ['plain HTTP in production', { ...production, SARF_NOTICE_URL: 'http://sms.example', SARF_NOTICE_SECRET: secret }, 'https:'],
    ['the demo’s made-up mobiles to a real provider', { ...environment, SARF_NOTICE_URL }, 'SARF_NOTICE_URL'],
  ])('refuses %s', (_, wrong, problem) => {
    expect(() => loadConfig(wrong)).toThrow(problem)
  })
})
