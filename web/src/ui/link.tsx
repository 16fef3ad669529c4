import { Anchor, type AnchorProps, Button, type ButtonProps } from '@mantine/core'
import { createLink } from '@tanstack/react-router'
import { forwardRef } from 'react'

/** Links of the router that look as Mantine's; they are real ones, to be opened in a new tab. */
export const Link = createLink(
  forwardRef<HTMLAnchorElement, Omit<AnchorProps, 'href'> & React.ComponentPropsWithoutRef<'a'>>(
    function RouterAnchor(props, ref) {
      return <Anchor ref={ref} inherit underline="hover" {...props} />
    },
  ),
)

export const LinkButton = createLink(
  forwardRef<HTMLAnchorElement, Omit<ButtonProps, 'href'> & React.ComponentPropsWithoutRef<'a'>>(
    function RouterButton(props, ref) {
      return <Button component="a" ref={ref} variant="default" {...props} />
    },
  ),
)
