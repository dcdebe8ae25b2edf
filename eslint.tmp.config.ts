/** Rules that find mistakes. How code looks is Prettier's, and how it reads is the reviewers'. */
import { defineConfig, globalIgnores } from 'eslint/config'
import tseslint from 'typescript-eslint'

// eslint-disable-next-line no-restricted-exports -- ESLint takes its configuration from a default export
export default defineConfig(
  globalIgnores(['node_modules/', '.sarf/', 'coverage/', '**/*.mjs']),
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/strict-boolean-expressions': ['error', { allowAny: true, allowNumber: false, allowString: false }],
      // `environment['NAME']` says that the name is data; the compiler asks for it with index signatures.
      '@typescript-eslint/dot-notation': 'off',
      // Sparse arrays by data element number, and typed arrays, are read by index.
      '@typescript-eslint/prefer-for-of': 'off',
      // An arrow that passes a call's nothing on is shorter, and says no less.
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // A port's implementation may have nothing to wait for.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-empty-function': 'off',
      eqeqeq: 'error',
      'no-var': 'error',
      'prefer-const': 'error',
      'no-console': 'error',
      'no-restricted-exports': ['error', { restrictDefaultExports: { direct: true, named: true, defaultFrom: true } }],
      'no-restricted-syntax': [
        'error',
        { selector: 'TSEnumDeclaration', message: 'A union of literals says the same and needs no code.' },
        { selector: 'ExportAllDeclaration', message: 'Import from where a thing is, not from a barrel.' },
      ],
    },
  },
  {
    files: ['src/**'],
    // Settings come through config.ts; what starts the local stack hands them on to it.
    ignores: ['src/config.ts', 'src/local/**', 'src/cli/**'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Only src/config.ts reads the environment.' },
      ],
    },
  },
  {
    files: ['tests/**', 'benchmarks/**'],
    rules: {
      '@typescript-eslint/explicit-module-boundary-types': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
)
