/**
 * What people are told, as data: each template's words in Arabic and in English (config/notices.json). What a template may say is fixed here, so that
 * who adds a notice gives all of it; what cannot be right is found when the file is loaded, not when somebody should have been told.
 */
import Type, { type Static } from 'typebox'
import Value from 'typebox/value'

/** Templates and what is filled in. */
export const TEMPLATE_PARAMETERS = {
  collection: ['card', 'place', 'months', 'diwan', 'diwanMonths'],
  'collection-reminder': ['card', 'place', 'until'],
  'moved-to-diwan': ['card', 'diwan', 'until'],
  'last-reminder': ['card', 'diwan', 'until'],
  destroyed: ['card'],
  'handed-over': ['card'],
  'card-lost': ['card'],
  'card-stolen': ['card'],
  'card-damaged': ['card'],
  'card-suspended': ['card'],
  'card-restored': ['card'],
  'pin-lost': ['card'],
  'pin-blocked': ['card'],
  'pin-set': ['card'],
  'old-card-ended': ['card'],
  'replacement-ordered': ['due'],
  'replacement-overdue': ['due'],
  'renewal-reminder': ['card', 'lastDay'],
  expired: ['card'],
  'service-active': ['service', 'from'],
  transaction: ['what', 'amount', 'unit', 'card', 'time'],
} as const

export type TemplateName = keyof typeof TEMPLATE_PARAMETERS
type ParameterName = (typeof TEMPLATE_PARAMETERS)[TemplateName][number]

export const LANGUAGES = ['ar', 'en'] as const
export type Language = (typeof LANGUAGES)[number]

/** The same in every language, or a name in each. */
export type NoticeValue = string | Readonly<Record<Language, string>>
export type NoticeParameters<Name extends TemplateName> = Readonly<
  Record<(typeof TEMPLATE_PARAMETERS)[Name][number], NoticeValue>
>

/** The longest that each may be, for how many messages a notice takes at most. A day is written dd/mm/yyyy. */
const PARAMETER_LENGTHS: Readonly<Record<ParameterName, number>> = {
  card: 4,
  place: 40,
  diwan: 40,
  months: 2,
  diwanMonths: 2,
  until: 10,
  due: 10,
  lastDay: 10,
  from: 10,
  service: 25,
  what: 20,
  amount: 14,
  unit: 8,
  time: 16,
}

const closed = { additionalProperties: false }
const BothSchema = Type.Object({ ar: Type.String({ minLength: 1 }), en: Type.String({ minLength: 1 }) }, closed)
const NoticesSchema = Type.Object(
  {
    /** The most messages that one notice may be cut into by the network: each is paid for. */
    messagesMax: Type.Integer({ minimum: 1, maximum: 10 }),
    templates: Type.Record(Type.String(), BothSchema),
    /** What a parameter that begins with @ stands for, such as `@ration`. */
    words: Type.Record(Type.String({ pattern: '^[A-Za-z][A-Za-z-]*$' }), BothSchema),
  },
  closed,
)

export type NoticeTexts = Static<typeof NoticesSchema>

/** @returns the texts, or in one line what is wrong with the file */
export function noticeTextsOf(value: unknown): NoticeTexts | string {
  if (!Value.Check(NoticesSchema, value)) {
    const first = Value.Errors(NoticesSchema, value)[0]
    return `${first?.instancePath ?? '/'} ${first?.message ?? 'is not valid'}`
  }
  const surplus = Object.keys(value.templates).find((name) => !isTemplate(name))
  if (surplus !== undefined) return `/templates: there is no notice ${surplus}`
  for (const name of templateNames()) {
    const both = value.templates[name]
    if (both === undefined) return `/templates: ${name} is missing`
    for (const language of LANGUAGES) {
      const wrong = wrongWords(name, both[language])
      if (wrong !== undefined) return `/templates/${name}/${language}: ${wrong}`
    }
  }
  const long = templateReport(value).find(({ messages }) => messages > value.messagesMax)
  return long === undefined
    ? value
    : `/templates/${long.name}/${long.language}: takes ${String(long.messages)} messages, more than messagesMax`
}

export function isTemplate(name: string): name is TemplateName {
  return Object.hasOwn(TEMPLATE_PARAMETERS, name)
}

function templateNames(): TemplateName[] {
  return Object.keys(TEMPLATE_PARAMETERS) as TemplateName[]
}

const PLACEHOLDER = /\{([A-Za-z]*)\}/g

function wrongWords(name: TemplateName, text: string): string | undefined {
  const needed: readonly string[] = TEMPLATE_PARAMETERS[name]
  const used = [...text.matchAll(PLACEHOLDER)].map(([, parameter = '']) => parameter)
  const unknown = used.find((parameter) => !needed.includes(parameter))
  if (unknown !== undefined) return `{${unknown}} is nothing that this notice is told`
  const missing = needed.find((parameter) => !used.includes(parameter))
  return missing === undefined ? undefined : `{${missing}} is missing`
}

/** What a person reads. A parameter that is a day is written as one, one that begins with @ is said in the language. */
export function noticeText(
  texts: NoticeTexts,
  name: string,
  language: Language,
  parameters: Readonly<Record<string, NoticeValue>>,
): string {
  const text = texts.templates[name]?.[language] ?? ''
  return text.replace(PLACEHOLDER, (_, parameter: string) => shown(texts, language, parameters[parameter] ?? ''))
}

function shown({ words }: NoticeTexts, language: Language, given: NoticeValue): string {
  const value = typeof given === 'string' ? given : given[language]
  if (value.startsWith('@')) return words[value.slice(1)]?.[language] ?? value.slice(1)
  const [, year, month, day] = /^(\d{4})-(\d{2})-(\d{2})$/.exec(value) ?? []
  return day === undefined ? value : `${day}/${month ?? ''}/${year ?? ''}`
}

/** 3GPP TS 23.038, 6.2.1: the GSM 7 bit default alphabet, and its extension, each character of which takes two places. */
const GSM =
  '@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà'
const GSM_EXTENSION = '^{}\\[~]|€'

/** How many messages the network makes of a text: 160 septets or 70 UCS-2 characters in one, 153 or 67 in each of several (3GPP TS 23.040, 9.2.3.24.1). */
export function messagesOf(text: string): number {
  const characters = Array.from(text)
  const isGsm = characters.every((character) => GSM.includes(character) || GSM_EXTENSION.includes(character))
  const length = isGsm ? characters.reduce((sum, character) => sum + (GSM_EXTENSION.includes(character) ? 2 : 1), 0) : text.length
  const [alone, each] = isGsm ? [160, 153] : [70, 67]
  return length <= alone ? 1 : Math.ceil(length / each)
}

export interface TemplateLength {
  readonly name: TemplateName
  readonly language: Language
  readonly characters: number
  readonly messages: number
}

/** How long each notice becomes with the longest parameters. */
export function templateReport(texts: NoticeTexts): TemplateLength[] {
  return templateNames().flatMap((name) =>
    LANGUAGES.map((language) => {
      const parameters = Object.fromEntries(
        TEMPLATE_PARAMETERS[name].map((parameter) => [parameter, longest(parameter, language)]),
      )
      const text = noticeText(texts, name, language, parameters)
      return { name, language, characters: text.length, messages: messagesOf(text) }
    }),
  )
}

function longest(parameter: ParameterName, language: Language): string {
  return (language === 'ar' ? 'م' : 'm').repeat(PARAMETER_LENGTHS[parameter])
}
