"""The status page on a phone, in the dark, without a mouse: nothing hangs over the edge, every text
can be told from its ground, and everything can be reached."""

import pytest

from browser import Keys
from mock_daemon import ended, listener, probe, server, session, side

# Of every text that is seen: the contrast with its ground (WCAG 2.2, 1.4.3) and what was required.
CONTRASTS = """
    const channel = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    const light = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
    const parse = (text) => text.match(/[0-9.]+/g).map(Number);
    const groundOf = (element) => {
        for (let one = element; one; one = one.parentElement) {
            const box = one instanceof SVGElement && !(one instanceof SVGSVGElement) ? null
                : parse(getComputedStyle(one).backgroundColor);
            if (box && (box.length < 4 || box[3] > 0.99))
                return box;
        }
        return [255, 255, 255];
    };
    const bad = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let seen = 0;
    while (walker.nextNode()) {
        const text = walker.currentNode.textContent.trim();
        const element = walker.currentNode.parentElement;
        if (!text || !element.checkVisibility({ visibilityProperty: true }) || element.closest('.unseen, .skip, noscript, script, style'))
            continue;
        const style = getComputedStyle(element);
        const ink = parse(element instanceof SVGElement ? style.fill : style.color);
        const [a, b] = [light(ink), light(groundOf(element))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        const size = parseFloat(style.fontSize), isBold = Number(style.fontWeight) >= 600;
        const wanted = size >= 24 || (isBold && size >= 18.66) ? 3 : 4.5;
        seen++;
        if (ratio < wanted)
            bad.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)} < ${wanted} in <${element.localName} class="${element.getAttribute('class')}">`);
    }
    return [seen, bad];
"""
# Every colour of plots against the panel it is on (1.4.11).
PLOT_CONTRASTS = CONTRASTS.split("const bad")[0] + """
    const ground = groundOf(document.querySelector('.panel'));
    return [...document.querySelectorAll('.c-blue, .c-orange, .c-teal, .c-purple, .c-red, .c-olive, .c-gray')]
        .map((one) => {
            const style = getComputedStyle(one);
            const ink = style.fill === 'none' ? style.stroke : style.fill;
            const [a, b] = [light(parse(ink)), light(ground)];
            return [one.getAttribute('class'), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
        }).filter(([, ratio]) => ratio < 3);
"""
SCREENS = ((360, 740), (412, 900), (768, 1024), (1024, 768), (1280, 800), (1920, 1080))


@pytest.fixture
def full(mock):
    """Something in every part of the page, notices too."""
    with mock.changing():
        mock.state = "draining"
        mock.dropped = 3
        mock.config.update(failed_reloads=1, last_reload_ok=False)
        mock.listeners = [listener("a-listener-with-a-long-name"), listener("web")]
        for index, name in enumerate(mock.listeners[0]["endings"]):
            mock.listeners[0]["endings"][name] = 10 ** (index % 7)
        mock.pools[0]["servers"] = [server(), server("app-2", up=False, state="maint"),
                                    server("app-3", state="drain")]
        states = ("open", "half_closed_client", "half_closed_server", "closing", "connecting")
        mock.sessions = [
            session(number, state=states[number % 5], listener="web", idle_s=86400.0 * number,
                    ending_in={"deadline": "half_closed_max", "in_s": 3599.0},
                    client=side(f"[2001:db8:1234:5678:9abc:def0:1234:{number:x}]:51234",
                                flow=("open", "draining", "finished", "broken")[number % 4],
                                held_bytes=number % 2 * 70000,
                                probe=probe(protocol="postgresql", sent=123456, replies=123455)))
            for number in range(1, 40)]
        mock.ended = [ended(100 + index, name) for index, name in
                      enumerate(mock.listeners[0]["endings"])]
    return mock


def see_all(browser, mock, path=""):
    browser.open(mock.url + path)
    browser.wait_text("#notices", "Draining")
    browser.script("document.querySelector('#sessions').scrollIntoView({ behavior: 'instant' })")
    browser.wait(lambda: len(browser.all("#list-rows tr.row")) > 2, "the list")


@pytest.mark.parametrize("width, height", SCREENS)
def test_nothing_hangs_over_the_edge(browser, full, width, height):
    browser.screen(width, height, is_phone=width < 600)
    see_all(browser, full)
    assert browser.overflow() <= 0
    browser.script("location.hash = 'session=7'")
    browser.wait_text("#sentence", "both directions")
    assert browser.overflow() <= 0
    detail = browser.one("#detail")
    assert browser.script("return arguments[0].scrollWidth - arguments[0].clientWidth", detail) <= 0
    layout = browser.one("#picture svg").get_attribute("data-layout")
    assert layout == ("upright" if width < 520 else "across")
    browser.script("history.back()")
    browser.wait_shown("#detail", False)


def test_rows_are_cards_on_a_phone(browser, full):
    browser.screen(360, 740, is_phone=True)
    see_all(browser, full)
    assert not browser.is_shown("#list thead")
    card = browser.script("""
        const row = document.querySelector("tr.row[data-id='2']");
        const edge = row.getBoundingClientRect();
        const shown = [...row.children].filter((one) => one.checkVisibility());
        return [shown.map((one) => one.textContent), shown.every((one) => {
            const box = one.getBoundingClientRect();
            return box.left >= edge.left && box.right <= edge.right + 1 && box.bottom <= edge.bottom;
        }), getComputedStyle(row).display];""")
    assert card[0][:4] == ["2", "half-closed by server", "web",
                           "[2001:db8:1234:5678:9abc:def0:1234:2]:51234"]
    assert card[1] and card[2] == "grid"
    browser.choose("#sort", "id -1")
    browser.wait(lambda: browser.texts("tr.row a")[0] == "39", "the newest first")
    browser.click("tr.row[data-id='39'] td:nth-child(4)")
    browser.wait_text("#detail-title", "Session 39")
    assert browser.script("return document.querySelector('#main').inert") is True
    browser.click("#detail-close")
    browser.wait_shown("#detail", False)
    assert browser.script("return document.querySelector('#main').inert") is False


@pytest.mark.parametrize("scheme", ("light", "dark"))
@pytest.mark.parametrize("path", ("", "#session=3", "#session=104"))
def test_every_text_stands_out_from_its_ground(browser, full, scheme, path):
    browser.prefer(color_scheme=scheme)
    see_all(browser, full, path)
    if path == "#session=3":
        browser.wait(lambda: browser.all("#picture .word"), "the picture")
    elif path:
        browser.wait_text("#verdict", "Ended")
    ground = browser.script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 200) == (scheme == "dark"), ground
    seen, bad = browser.script(CONTRASTS)
    assert seen > 200
    assert bad == []


@pytest.mark.parametrize("scheme", ("light", "dark"))
def test_every_colour_of_a_plot_stands_out(browser, full, scheme):
    browser.prefer(color_scheme=scheme)
    see_all(browser, full)
    assert browser.script(PLOT_CONTRASTS) == []


def test_stale_numbers_still_can_be_read(browser, full):
    see_all(browser, full)
    full.stop()
    browser.wait_text("#notices", "does not answer")
    assert browser.script(CONTRASTS)[1] == []


def test_everything_has_a_name_and_a_place(browser, full):
    see_all(browser, full)
    assert browser.script("return document.documentElement.lang") == "en"
    levels = [int(tag[1]) for tag in browser.script(
        "return [...document.querySelectorAll('h1, h2, h3')].map((one) => one.localName)")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:]))
    nameless = browser.script("""
        return [...document.querySelectorAll('button, a[href], input, select, svg[role=img], [role=region]')]
            .filter((one) => !(one.getAttribute('aria-label') || one.getAttribute('aria-labelledby')
                || one.textContent.trim() || one.labels?.length)).map((one) => one.outerHTML)""")
    assert nameless == []
    headless = browser.script("""
        return [...document.querySelectorAll('table')].filter((one) =>
            !one.querySelector('thead th[scope=col]')).length""")
    assert headless == 0
    repeated = browser.script("""
        const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
        return ids.filter((id, index) => ids.indexOf(id) !== index)""")
    assert repeated == []


def test_tab_reaches_everything_and_focus_is_seen(browser, full):
    see_all(browser, full)
    browser.script("document.querySelector('#hold').click()")  # nothing moves from here on
    browser.script("scrollTo(0, 0); document.activeElement.blur()")
    reached, unseen = [], []
    for _ in range(150):
        browser.press(Keys.TAB)
        name, outline = browser.script("""
            const one = document.activeElement;
            if (one === document.body)
                return ['', ''];
            const shown = one.closest('.switch label') ?? one;
            return [one.id || one.getAttribute('aria-label') || one.getAttribute('aria-labelledby')
                || one.textContent || one.localName, getComputedStyle(shown).outlineStyle];""")
        if not name:
            break  # past the last one
        reached.append(name)
        if outline == "none":
            unseen.append(name)
    assert unseen == []
    assert reached[0] == "Skip to the sessions"
    for name in ("search", "filter-state", "filter-listener", "hold", "list-box", "Session 1",
                 "listeners-title", "servers-title", "workers-title"):
        assert name in reached, (name, reached)


def test_motion_is_left_out_on_request(browser, full):
    moving = ("return [...document.querySelectorAll('*')].filter((one) => { const style = getComputedStyle(one);"
              "return parseFloat(style.transitionDuration) > 0 || style.animationName !== 'none'"
              "|| style.scrollBehavior === 'smooth'; }).length")
    see_all(browser, full)
    assert browser.script(moving) > 0
    browser.prefer(reduced_motion="reduce")
    assert browser.script(moving) == 0


def test_words_of_the_narrowest_screen(browser, full):
    """At 320 px, which is a page at 400 % on a common screen (1.4.10)."""
    browser.screen(320, 640, is_phone=True)
    see_all(browser, full)
    assert browser.overflow() <= 0
