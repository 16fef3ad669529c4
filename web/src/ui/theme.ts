import {
  ActionIcon,
  Alert,
  Button,
  Checkbox,
  type CSSVariablesResolver,
  createTheme,
  InputWrapper,
  Menu,
  Modal,
  MultiSelect,
  NumberInput,
  PasswordInput,
  SegmentedControl,
  Select,
  Switch,
  Textarea,
  TextInput,
  Tooltip,
} from '@mantine/core'

const field = { defaultProps: { size: 'xs' } }

export const theme = createTheme({
  primaryColor: 'accent',
  primaryShade: { light: 7, dark: 8 },
  autoContrast: true,
  defaultRadius: 'sm',
  cursorType: 'pointer',
  respectReducedMotion: true,
  fontFamily: 'Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif',
  fontFamilyMonospace:
    'ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace',
  fontSizes: { xs: '0.75rem', sm: '0.8125rem', md: '0.875rem', lg: '1rem', xl: '1.25rem' },
  headings: {
    fontWeight: '600',
    sizes: {
      h1: { fontSize: '1.125rem' },
      h2: { fontSize: '0.9375rem' },
      h3: { fontSize: '0.875rem' },
    },
  },
  colors: {
    // One accent; everything else is grey, apart from what a status says.
    accent: [
      '#eaf2fe',
      '#d3e2fb',
      '#a6c4f5',
      '#77a5f0',
      '#5089eb',
      '#3877e0',
      '#2a6ad4',
      '#1f5bbd',
      '#2864c4',
      '#163f87',
    ],
  },
  components: {
    ActionIcon: ActionIcon.extend({
      defaultProps: { variant: 'subtle', color: 'gray', size: 'md' },
    }),
    Alert: Alert.extend({ defaultProps: { variant: 'light' } }),
    Button: Button.extend({ defaultProps: { size: 'xs' } }),
    Checkbox: Checkbox.extend({ defaultProps: { size: 'xs' } }),
    InputWrapper: InputWrapper.extend({
      // Below, so that fields side by side stand in line.
      defaultProps: { inputWrapperOrder: ['label', 'input', 'description', 'error'] },
      styles: { description: { fontSize: '0.719rem' } },
    }),
    Menu: Menu.extend({ defaultProps: { shadow: 'md', position: 'bottom-end' } }),
    Modal: Modal.extend({
      defaultProps: {
        centered: true,
        overlayProps: { backgroundOpacity: 0.45 },
        closeButtonProps: { 'aria-label': 'Close' },
      },
    }),
    MultiSelect: MultiSelect.extend(field),
    NumberInput: NumberInput.extend(field),
    PasswordInput: PasswordInput.extend(field),
    SegmentedControl: SegmentedControl.extend(field),
    Select: Select.extend(field),
    Switch: Switch.extend({ defaultProps: { size: 'sm' } }),
    Textarea: Textarea.extend(field),
    TextInput: TextInput.extend(field),
    Tooltip: Tooltip.extend({ defaultProps: { openDelay: 300, withArrow: true } }),
  },
})

/** The greys of text that Mantine chooses are too faint for WCAG AA on its own backgrounds. */
export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    '--mantine-color-dimmed': '#5a6069',
    '--mantine-color-placeholder': '#686f79',
    '--mantine-color-error': '#c02626',
    '--grmm-surface': '#ffffff',
    '--grmm-canvas': '#f6f7f8',
    '--grmm-line': '#dfe2e6',
    '--grmm-hover': '#f0f2f4',
    '--grmm-picked': '#e6effc',
    '--grmm-good': '#1a7f37',
    '--grmm-bad': '#c02626',
    '--grmm-warn': '#8f5a00',
    '--grmm-info': '#1f5bbd',
    '--grmm-idle': '#5a6069',
  },
  dark: {
    '--mantine-color-dimmed': '#a2a8b0',
    '--mantine-color-placeholder': '#969ca5',
    '--mantine-color-error': '#ff8a8a',
    '--mantine-color-anchor': '#86b4ff',
    '--mantine-color-body': '#16181b',
    '--grmm-surface': '#1c1f23',
    '--grmm-canvas': '#16181b',
    '--grmm-line': '#33383e',
    '--grmm-hover': '#25292e',
    '--grmm-picked': '#1d2f4d',
    '--grmm-good': '#5fd07d',
    '--grmm-bad': '#ff8a8a',
    '--grmm-warn': '#e8b04a',
    '--grmm-info': '#86b4ff',
    '--grmm-idle': '#a2a8b0',
  },
})
