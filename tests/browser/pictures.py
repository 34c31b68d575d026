"""Screenshots of every page, kept for people to look at."""

from pathlib import Path

from playwright.async_api import Page

PICTURES = Path(__file__).parents[2] / "artifacts" / "screenshots"


#: Frames come to their size and are painted after the page around them.
SETTLED = """() => new Promise((settled) => {
  let height = -1, calm = 0;
  const look = () => {
    calm = height === document.body.scrollHeight ? calm + 1 : 0;
    height = document.body.scrollHeight;
    calm < 15 ? requestAnimationFrame(look) : settled();
  };
  look();
})"""


async def picture(page: Page, name: str) -> None:
    path = PICTURES / f"{name}.png"
    size = page.viewport_size
    if len(page.frames) == 1 or size is None:
        await page.screenshot(path=path, full_page=True)
        return
    # A screenshot of more than the window would resize it, and not wait for its frames.
    height = await page.evaluate("document.documentElement.scrollHeight")
    await page.set_viewport_size({"width": size["width"], "height": height})
    await page.evaluate(SETTLED)
    await page.screenshot(path=path)
    await page.set_viewport_size(size)


async def pictures(page: Page, name: str) -> None:
    """Take it as it is, in the dark, and on a telephone."""
    await picture(page, name)
    await page.emulate_media(color_scheme="dark")
    await picture(page, f"{name}-dark")
    await page.emulate_media(color_scheme="light")
    size = page.viewport_size
    await page.set_viewport_size({"width": 390, "height": 844})
    await picture(page, f"{name}-phone")
    if size is not None:
        await page.set_viewport_size(size)
