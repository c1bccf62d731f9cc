"""The status page's policy holds: what is not the page's own does not run, and the page itself never
runs into it."""

import re
import urllib.request

from mock_daemon import PAGE, session


def violations(browser):
    return [text for text in browser.complaints() if "Content Security Policy" in text]


def test_page_keeps_to_its_policy(browser, mock):
    """All that it does, without a word on the console."""
    with mock.changing():
        mock.sessions = [session(number) for number in range(1, 60)]
    browser.open(mock.url)
    browser.script("""window.refused = [];
        addEventListener('securitypolicyviolation', (event) => refused.push(event.violatedDirective));""")
    browser.wait_text("#list-count", "59 sessions")
    browser.script("document.querySelector('#list-box').scrollTop = 500")
    browser.click("tr.row a")
    browser.wait(lambda: browser.all("#picture svg"), "the picture")
    browser.hover(browser.one(".plot > svg"))
    browser.sleep(2)
    assert browser.script("return refused") == []
    assert browser.complaints() == []


def test_what_is_injected_does_not_run(browser, mock):
    browser.open(mock.url)
    browser.wait_text("#state", "running")
    browser.script("""
        const add = (name, fields) => document.body.append(Object.assign(document.createElement(name), fields));
        add('script', { textContent: 'window.pwned = 1' });
        add('div', { innerHTML: '<img src=x onerror="window.pwned = 2">' });
        add('div', { innerHTML: '<p id=painted style="position: fixed">x</p>' });
        add('style', { textContent: '#painted { color: red }' });
        add('iframe', { src: '/' });""")
    browser.sleep(0.5)
    assert browser.script("return window.pwned") is None
    assert browser.script("return getComputedStyle(document.querySelector('#painted')).position") \
        == "static"
    assert len(violations(browser)) >= 4


def test_asks_its_own_daemon_alone(browser, mock):
    browser.open(mock.url)
    browser.wait_text("#state", "running")
    origins = browser.script("return performance.getEntriesByType('resource')"
                             ".map((one) => new URL(one.name).origin)")
    assert set(origins) <= {mock.url.rstrip("/"), "null"}
    assert browser.script("return fetch('http://127.0.0.2:9/').then(() => 'sent', () => 'refused')") \
        == "refused"
    assert violations(browser)


def headers_and_text(url):
    with urllib.request.urlopen(url) as answer:
        return answer.headers, answer.read().decode()


def test_runs_only_under_this_answers_nonce(mock):
    nonces = set()
    for _ in range(3):
        headers, text = headers_and_text(mock.url)
        (nonce,) = set(re.findall(r"'nonce-(\w+)'", headers["Content-Security-Policy"]))
        assert text.count(nonce) == 2
        nonces.add(nonce)
    assert len(nonces) == 3


def test_file_needs_nothing_from_elsewhere():
    with open(PAGE, encoding="utf-8") as file:
        text = file.read()
    assert re.findall(r"https?://[^\"' )]*", text) == ["http://www.w3.org/2000/svg"] * 2
    assert not re.search(r"\bstyle=\"|\bon\w+=\"|@import|url\((?!#)", text)
    assert len(text) < 150000
