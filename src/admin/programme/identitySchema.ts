/** What a clerk sends of the person at the counter, and of the PIN pad there. */
import Type from 'typebox'

const closed = { additionalProperties: false }

const nationalId = Type.String({
  pattern: '^[23]\\d{13}$',
  description: 'the 14 digits of the national ID card, as 0 to 9',
  examples: ['28005170101234'],
})
const mobile = Type.String({
  pattern: '^(\\+20|0020|0)1[0125]\\d{8}$',
  description: 'an Egyptian mobile number that is registered to the same ID, 01012345678 or +201012345678; a child may have none',
  examples: ['01012345678'],
})

export const PlaceIdSchema = Type.String({
  pattern: '^[a-z0-9][a-z0-9-]{1,39}$',
  description: 'the id of a place, as GET /v1/places has it',
  examples: ['post-03-1'],
})

export const FingerprintReferenceSchema = Type.String({
  pattern: '^(?!.*[0-9]{11})[A-Za-z0-9._:-]{1,64}$',
  description:
    'the name of the enrolment in the fingerprint system, 1 to 64 characters of A-Z a-z 0-9 . _ : -, no number of 11 digits or more; never a template',
  examples: ['enr-2026-000118'],
})

export const identityMembers = {
  nationalId,
  mobile: Type.Optional(mobile),
  collectedBy: Type.Optional(
    Type.Object({ nationalId, mobile }, { ...closed, description: 'for a child: the head of the household, who comes' }),
  ),
}

export const pinMembers = {
  pinBlock: Type.String({
    pattern: '^([0-9A-Fa-f]{16}|[0-9A-Fa-f]{32})$',
    description: "the PIN that the holder chose, a PIN block under the switch's PIN key for HTTP, 16 or 32 hexadecimal digits",
    examples: ['0412AC89ABCDEF67'],
  }),
  pinFormat: Type.Optional(Type.Integer({ enum: [0, 3, 4], description: 'the ISO 9564-1 format of the PIN block: 0, 3 or 4' })),
  keySerialNumber: Type.Optional(
    Type.String({
      pattern: '^([0-9A-Fa-f]{20}|[0-9A-Fa-f]{24})$',
      description: 'the key serial number of the PIN block where its key is derived (DUKPT), 20 or 24 hexadecimal digits',
    }),
  ),
}

/** Words of people: no run of digits in it as long as an ID, a mobile or a card number. */
export const WORDS = '^(?![^\\u0000-\\u001f]*[0-9\\u0660-\\u0669]{8})[^\\u0000-\\u001f\\ud800-\\udfff]{1,200}$'
export const WORDS_EXPECTED = '1 to 200 characters, no number of 8 digits or more'

export function wordsSchema(description: string, example: string): ReturnType<typeof Type.String> {
  return Type.String({
    pattern: WORDS,
    description: `${description}, ${WORDS_EXPECTED}`,
    examples: [example],
  })
}
